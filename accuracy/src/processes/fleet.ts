import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createLimiter, fixedWindow } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import type { VariantName } from '../variants.ts'

const NODE = fileURLToPath(new URL('./node.ts', import.meta.url))
const HOUR = 3_600_000
/** Above all that can have been admitted, so that what remains tells how much was admitted. */
const NO_LIMIT = 1_000_000

/** What a node is told to do: limiters of one name and limit, in turns one after the other. */
export interface Order {
  readonly name: string
  readonly limit: number
  readonly interval: number
  readonly turns: readonly {
    readonly variant: VariantName
    readonly key: string
    readonly checks: number
    /** Checks a second. */
    readonly rate: number
  }[]
}

export interface NodeReport {
  /** Per turn, what was admitted, and the most offered in the longest stretch from a command to the next reply. */
  readonly turns: { admitted: number; most: number }[]
  pending: number
}

/** Real processes over one Redis; the wall clocks of some are an hour ahead or behind. */
export class Fleet {
  private readonly nodes: { child: ChildProcess; lines: AsyncIterator<string> }[]

  constructor(
    private readonly url: string,
    size: number,
  ) {
    this.nodes = Array.from({ length: size }, (_, place) => {
      const argument = JSON.stringify({ url, shift: [0, HOUR, 0, -HOUR][place % 4] })
      const child = spawn(
        process.execPath,
        ['--conditions', '@spillway/source', '--import', 'tsx', NODE, argument],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      )
      return { child, lines: createInterface(child.stdout)[Symbol.asyncIterator]() }
    })
  }

  /** Resolves when all have started. */
  async ready(): Promise<void> {
    for (const { lines } of this.nodes) await lines.next()
  }

  /** Makes the nodes carry out their orders, at the same time. */
  async follow(orderOf: (place: number) => Order): Promise<NodeReport[]> {
    for (const [place, { child }] of this.nodes.entries())
      child.stdin?.write(`${JSON.stringify(orderOf(place))}\n`)
    return await Promise.all(
      this.nodes.map(async ({ child, lines }) => {
        const { value, done } = await lines.next()
        if (done) throw new Error(`a process ended: ${child.exitCode}`)
        return JSON.parse(value) as NodeReport
      }),
    )
  }

  /** What the store counts of a key. */
  async counted(name: string, key: string): Promise<number> {
    const store = redisStore(this.url)
    const limit = fixedWindow({ limit: NO_LIMIT, window: '365d' })
    const hard = createLimiter({ name, store, limit, timeout: '5s' })
    const { remaining } = await hard.peek(key)
    await hard.close()
    await store.close()
    // what a check of 1 would leave
    return NO_LIMIT - 1 - remaining
  }

  end(): void {
    for (const { child } of this.nodes) child.kill()
  }
}

/** The soft bound: the limit, and what all nodes but the one with the smallest term may admit unheard. */
export function softBound(limit: number, most: readonly number[]): number {
  const terms = most.map((offered) => Math.min(offered, limit)).sort((one, other) => one - other)
  return limit + terms.slice(1).reduce((sum, term) => sum + term, 0)
}
