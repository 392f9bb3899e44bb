import type { AlgorithmName } from '../../algorithms/algorithm.ts'
import { wireKey } from '../../key.ts'
import type { Counters, Operation } from '../store.ts'

/** So many keys go into one command of Redis with room to spare. */
const MOST = 2000
/** What a node that does not know the key tells of it: it only reads. */
const READS = -1

/**
 * Settlements that have nothing to tell but what was admitted and a demand, as nearly all: they travel as lists, which
 * is read and answered in a fraction of the time, see `settlements.lua.ts`. A key is in them once, and in no operation.
 */
export class Settlements {
  readonly keys: string[] = []
  readonly admitted: number[] = []
  /** Of the slice before. */
  readonly late: number[] = []
  readonly demands: number[] = []
  /** Of all that tell of one; undefined: they only read. */
  private slice: number | undefined
  /** What else there is. */
  readonly others: Operation[] = []
  /** Whether each operation is in the lists. */
  readonly areHere: boolean[] = []

  /** Undefined where there are none that can travel so. */
  static of(algorithm: AlgorithmName, operations: readonly Operation[]): Settlements | undefined {
    // A log's tell of entries; hard checks, which are in a hurry, take and ask for nothing else.
    if (algorithm === 'sliding-log' || operations.length > MOST || operations[0]?.[0] === 'take')
      return undefined
    const settlements = new Settlements()
    const names = new Set<string>()
    for (const operation of operations) {
      names.add(operation[1])
      const isHere = settlements.add(operation)
      settlements.areHere.push(isHere)
      if (!isHere) settlements.others.push(operation)
    }
    // Of two operations on one key the second goes by what the first has left.
    const areApart = names.size === operations.length
    return areApart && settlements.keys.length > 0 ? settlements : undefined
  }

  private add(operation: Operation): boolean {
    if (operation[0] === 'settle') {
      const [, key, generation, slice, current, late, ask] = operation
      if (generation !== 0 || ask == null || ask[2] > 0 || ask[3] > 0) return false
      if (!isAdmittedOnly(current) || !isAdmittedOnly(late)) return false
      this.slice ??= slice
      if (slice !== this.slice) return false
      this.note(key, current[0], late[0], ask[0])
      return true
    }
    if (operation[0] !== 'read') return false
    const [, key, ask] = operation
    if (ask === undefined || ask[2] > 0 || ask[3] > 0) return false
    this.note(key, READS, 0, ask[0])
    return true
  }

  private note(key: string, admitted: number, late: number, demand: number): void {
    this.keys.push(wireKey(key))
    this.admitted.push(admitted)
    this.late.push(late)
    this.demands.push(demand)
  }

  /** As the script reads them, within a request. */
  json(): string {
    let json = `,"k":${JSON.stringify(this.keys)},"n":[${this.admitted}]`
    if (this.slice !== undefined) json += `,"v":${this.slice}`
    if (this.late.some(isSome)) json += `,"m":[${this.late}]`
    if (this.demands.some(isSome)) json += `,"e":[${this.demands}]`
    return json
  }
}

function isSome(cost: number): boolean {
  return cost !== 0
}

function isAdmittedOnly([, refunded, granted, returned]: Counters): boolean {
  return refunded === 0 && granted === 0 && returned === 0
}
