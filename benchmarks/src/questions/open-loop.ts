import * as peers from '../contenders/redis-peers.ts'
import { draws, keyNames } from '../keys.ts'
import { quantile, turn } from '../measure.ts'
import { type Contender, type Question, RATE } from '../question.ts'

// How long hard checks take that come at a fixed rate, whether or not earlier ones are answered.

const KEYS = 10_000
const LIMIT = 20
const SECONDS = 2
const WARM_UP = 1
/** A contender that falls this many checks behind is overloaded. */
const MOST_WAITING = 50_000
const OURS = 'spillway, fixed window'
const FLEXIBLE = 'rate-limiter-flexible'
const P99 = 'ms, p99'

/** The checks a second that a peer answers with 512 in flight. */
async function saturation(peer: peers.RedisPeer, names: readonly string[], checks: number): Promise<number> {
  const order = draws('uniform', KEYS, checks, 2)
  let next = 0
  const worker = async () => {
    while (next < checks) await peers.admits(peer, names[order[next++]!]!)
  }
  const began = process.hrtime.bigint()
  await Promise.all(Array.from({ length: 512 }, worker))
  return (checks * 1e9) / Number(process.hrtime.bigint() - began)
}

/**
 * Makes checks at this rate. Returns the milliseconds from when each was due, after the warm-up; undefined: overloaded.
 */
async function offered(
  peer: peers.RedisPeer,
  names: readonly string[],
  rate: number,
  seconds: number,
): Promise<Float64Array | undefined> {
  const checks = Math.floor(rate * seconds)
  const order = draws('uniform', KEYS, checks, 3)
  const waits = new Float64Array(checks)
  const began = performance.now()
  let made = 0
  let answered = 0
  while (answered < checks) {
    const due = Math.min(checks, Math.floor(((performance.now() - began) / 1000) * rate))
    for (; made < due; made++) {
      const place = made
      void peers.admits(peer, names[order[place]!]!).then(() => {
        answered++
        waits[place] = performance.now() - began - (place / rate) * 1000
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
      const peer = await make(redisUrl, LIMIT)
      const names = keyNames(KEYS)
      await saturation(peer, names, 20_000)
      const rate = part === undefined ? 25_000 : part * (await saturation(peer, names, 40_000))
      const result = await offered(peer, names, rate, WARM_UP + Math.ceil(SECONDS * share))
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
