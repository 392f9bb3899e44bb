import * as peers from '../contenders/redis-peers.ts'
import { admissible, draws, keyNames } from '../keys.ts'
import { expectAdmitted, quantile, turn } from '../measure.ts'
import { type Contender, type Question, RATE } from '../question.ts'

// How long hard checks take that come at a fixed rate, whether or not earlier ones are answered.

const KEYS = 10_000
/** No key reaches it while time is measured: a refusal is less work for ours, and more for others. */
const LIMIT = 5000
const SECONDS = 2
const WARM_UP = 1
/** A contender that falls this many checks behind is overloaded. */
const MOST_WAITING = 50_000
const OURS = 'spillway, fixed window'
const FLEXIBLE = 'rate-limiter-flexible'
const P99 = 'ms, p99'

/** A peer, and what it was asked and has admitted so far. */
class Asked {
  private readonly names = keyNames(KEYS)
  /** How often each key is asked for, once all that was drawn is. */
  private readonly counts = new Uint32Array(KEYS)
  private admitted = 0

  constructor(private readonly peer: peers.RedisPeer) {}

  /** Draws keys to be asked for: all of them must be. */
  draw(checks: number, seed: number): Uint32Array {
    const order = draws('uniform', KEYS, checks, seed)
    for (const place of order) this.counts[place]!++
    return order
  }

  async ask(place: number): Promise<void> {
    if (await peers.admits(this.peer, this.names[place]!)) this.admitted++
  }

  /** Asks for one key until it is refused. Throws unless what was admitted is right. */
  async expectRight(): Promise<void> {
    for (let asked = 0; asked <= LIMIT; asked++) await this.ask(0)
    this.counts[0]! += LIMIT + 1
    expectAdmitted(this.admitted, admissible(this.counts, LIMIT))
  }
}

/** The checks a second that a peer answers with 512 in flight. */
async function saturation(asked: Asked, checks: number): Promise<number> {
  const order = asked.draw(checks, 2)
  let next = 0
  const worker = async () => {
    while (next < checks) await asked.ask(order[next++]!)
  }
  const began = process.hrtime.bigint()
  await Promise.all(Array.from({ length: 512 }, worker))
  return (checks * 1e9) / Number(process.hrtime.bigint() - began)
}

/** Milliseconds after which a check is due, at this rate: the first one at once. */
export function dueAt(place: number, rate: number): number {
  return (place / rate) * 1000
}

/** How many checks are due after so many milliseconds. */
export function dueBy(ms: number, rate: number): number {
  return Math.floor((ms / 1000) * rate) + 1
}

/**
 * Makes checks at this rate. Returns the milliseconds from when each was due, after the warm-up; undefined: overloaded.
 */
async function offered(asked: Asked, rate: number, seconds: number): Promise<Float64Array | undefined> {
  const checks = Math.floor(rate * seconds)
  const order = asked.draw(checks, 3)
  const waits = new Float64Array(checks)
  const began = performance.now()
  let made = 0
  let answered = 0
  while (answered < checks) {
    const due = Math.min(checks, dueBy(performance.now() - began, rate))
    for (; made < due; made++) {
      const place = made
      void asked.ask(order[place]!).then(() => {
        answered++
        waits[place] = performance.now() - began - dueAt(place, rate)
      })
    }
    if (made - answered > MOST_WAITING) return undefined
    await turn()
  }
  return waits.subarray(Math.floor(rate * WARM_UP))
}

function contender(name: string, make: peers.MakePeer, part: number | undefined): Contender {
  return {
    name,
    run: async ({ redisUrl, share }) => {
      const peer = await make(redisUrl, LIMIT, KEYS)
      const asked = new Asked(peer)
      await saturation(asked, 20_000)
      const rate = part === undefined ? 25_000 : part * (await saturation(asked, 40_000))
      const result = await offered(asked, rate, WARM_UP + Math.ceil(SECONDS * share))
      // An overloaded one has not been asked for all that was drawn.
      if (result !== undefined) await asked.expectRight()
      await peer.close()
      const at = (rank: number) => (result === undefined ? Infinity : quantile(result, rank))
      return { [RATE]: rate, 'ms, median': at(0.5), [P99]: at(0.99), 'ms, longest': at(1) }
    },
  }
}

function openCase(name: string, part: number | undefined) {
  return {
    name,
    redis: true,
    contenders: [contender(FLEXIBLE, peers.flexible, part), contender(OURS, peers.spillwayFixed, part)],
    targets: part === undefined ? [{ measure: P99, ours: OURS, atMost: 10 }] : [],
  }
}

export const openLoop: Question = {
  name: 'open-loop',
  title: 'Hard checks, open loop',
  cases: [
    openCase('hard, open loop, 25k checks a second', undefined),
    openCase('hard, open loop, a quarter of saturation', 0.25),
    openCase('hard, open loop, half of saturation', 0.5),
  ],
}
