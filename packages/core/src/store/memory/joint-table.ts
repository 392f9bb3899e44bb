import type { Decision } from '../../decision.ts'
import { payerOf } from '../../payer.ts'
import type { JointTable, Operation, Reply, Request } from '../store.ts'
import type { MemoryTable } from './table.ts'

export class MemoryJointTable implements JointTable {
  constructor(private readonly tables: readonly MemoryTable[]) {}

  async exchange(requests: readonly Request[], reserve: boolean): Promise<readonly Reply[]> {
    const { tables } = this
    const begun = tables.map((table, place) => table.begin(requests[place] as Request))
    const results: (readonly Decision[])[][] = tables.map(() => [])
    const [first] = requests as [Request]
    for (const [turn, { 0: what, length }] of first.operations.entries()) {
      if (what === 'peek') {
        for (const [at, table] of tables.entries()) {
          const [, key] = (requests[at] as Request).operations[turn] as Operation
          const { now, slice } = begun[at] as { now: number; slice: number }
          results[at]?.push([table.peek(key, 1, now, slice)])
        }
        continue
      }
      const decisions: Decision[][] = tables.map(() => [])
      for (let place = 2; place < length; place++) {
        const asked = tables.map((table, at) => {
          const [, key, ...costs] = (requests[at] as Request).operations[turn] as Operation & { 0: 'take' }
          const { now, slice } = begun[at] as { now: number; slice: number }
          return { table, key, cost: costs[place - 2] as number, now, slice }
        })
        const peeked = asked.map(({ table, key, cost, now, slice }) => table.peek(key, cost, now, slice))
        const payer = payerOf(reserve ? peeked.slice(0, -1) : peeked, reserve ? peeked.at(-1) : undefined)
        for (const [at, { table, key, cost, now, slice }] of asked.entries()) {
          const pays = payer === (reserve && at === tables.length - 1 ? 'reserve' : 'limits')
          const [taken] = table.take(key, pays ? [cost] : [], now, slice)
          const decision = taken ?? peeked[at]
          decisions[at]?.push(decision as Decision)
        }
      }
      for (const [at, result] of results.entries()) result.push(decisions[at] as Decision[])
    }
    return tables.map((table, at) => {
      const { now, slice } = begun[at] as { now: number; slice: number }
      return table.reply(requests[at] as Request, now, slice, results[at] as Decision[][])
    })
  }
}
