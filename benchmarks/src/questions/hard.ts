import * as peers from '../contenders/redis-peers.ts'
import { admissible, countsOf, draws, keyNames } from '../keys.ts'
import { cpuMicroseconds, expectAdmitted, expectRemaining } from '../measure.ts'
import { type Case, type Contender, type Question, RATE, type Target } from '../question.ts'

// A check that Redis decides: one at a time, 64 and 512 at a time, and all for one key.

/** No key reaches it while time is measured, however fast a contender is: a refusal is less work for ours, and more for others. */
const LIMIT = 5000
/** More than a run asks of one key. */
const HOT_LIMIT = 100_000_000
/** Checks under way while each key is asked for once. */
const FIRST_AT_ONCE = 64
/** Warm-up in CPU time before a contender is measured: code that runs once a batch is compiled late. */
const WARM_UP_MICROSECONDS = 1.5e6
/** Turns in a round, in which contenders alternate: what else the machine does affects all of them alike. */
const TURNS = 10
/** After this many checks the drawn keys repeat, in the same order. */
const DRAWS = 2 ** 20
const OURS = 'spillway, fixed window'
const FLEXIBLE = 'rate-limiter-flexible'
const CPU = 'µs of node CPU a check'

interface Load {
  readonly atOnce: number
  readonly keys: number
  /** Of each key, if not `LIMIT`. */
  readonly limit?: number
  /** Checks in a turn of the contender. */
  readonly checks: number
}

function contender(name: string, load: Load, make: peers.MakePeer): Contender {
  return {
    name,
    run: async ({ redisUrl, share, turns }) => {
      const { limit = LIMIT } = load
      const peer = await make(redisUrl, limit, load.keys)
      const names = keyNames(load.keys)
      const count = Math.ceil(load.checks * share)
      const drawn = draws('uniform', load.keys, DRAWS)
      let next = 0
      let end = 0
      let admitted = 0
      const worker = async () => {
        while (next < end) {
          // As `admits`, but without its extra promise.
          try {
            if (peer.allowed(await peer.check(names[drawn[next++ % DRAWS]!]!))) admitted++
          } catch (refusal) {
            if (refusal instanceof Error) throw refusal
          }
        }
      }
      const ask = async (checks: number) => {
        end = next + checks
        await Promise.all(Array.from({ length: load.atOnce }, worker))
      }
      for (let first = 0; first < load.keys; first += FIRST_AT_ONCE) {
        const some = names.slice(first, first + FIRST_AT_ONCE)
        const answers = await Promise.all(some.map((name) => peers.admits(peer, name)))
        admitted += answers.filter((isAllowed) => isAllowed).length
      }
      await peer.warm?.()
      const warm = cpuMicroseconds() + WARM_UP_MICROSECONDS * share
      while (cpuMicroseconds() < warm) await ask(count)
      await turns(async () => {
        // While it waited, others have filled the caches, and its engine has dropped compiled code.
        await ask(Math.ceil(count / 2))
        const cpu = cpuMicroseconds()
        const began = process.hrtime.bigint()
        await ask(count)
        const seconds = Number(process.hrtime.bigint() - began) / 1e9
        return { [RATE]: count / seconds, [CPU]: (cpuMicroseconds() - cpu) / count }
      })
      // Each key was asked for once before.
      const counts = countsOf(drawn, load.keys, next).map((count) => count + 1)
      expectAdmitted(admitted, admissible(counts, limit))
      if (Math.max(...counts) < limit) {
        const remaining = async (place: number) => peer.remaining(await peer.check(names[place]!))
        await expectRemaining(counts, limit, remaining, peer.freed)
      }
      await peer.close()
      return undefined
    },
  }
}

function loadCase(
  name: string,
  load: Load,
  targets: Target[],
  isFull = true,
  bucket = peers.spillwayBucket,
): Case {
  return {
    name,
    redis: true,
    turns: TURNS,
    contenders: [
      contender(FLEXIBLE, load, peers.flexible),
      contender(OURS, load, peers.spillwayFixed),
      contender('spillway, sliding window', load, peers.spillwaySliding),
      contender('spillway, token bucket', load, bucket),
      contender('express-rate-limit, rate-limit-redis', load, peers.expressWithRedis),
      ...(isFull
        ? [
            contender('@upstash/ratelimit, fixed window', load, peers.upstashFixed),
            contender('@upstash/ratelimit, sliding window', load, peers.upstashSliding),
            contender('@upstash/ratelimit, token bucket', load, peers.upstashBucket),
          ]
        : []),
      contender('floor: INCR', load, peers.increments),
      contender('floor: INCR, auto-pipelined', load, peers.pipelinedIncrements),
    ],
    targets,
  }
}

const rate = (atLeast: number): Target => ({ measure: RATE, ours: OURS, to: FLEXIBLE, atLeast })
const cpu = (atMost: number): Target => ({ measure: CPU, ours: OURS, to: FLEXIBLE, atMost })

export const hard: Question = {
  name: 'hard',
  title: 'Hard checks on Redis',
  cases: [
    loadCase('hard, one at a time', { atOnce: 1, keys: 10_000, checks: 2000 }, [rate(0.95)], false),
    loadCase('hard, 64 at a time', { atOnce: 64, keys: 10_000, checks: 40_000 }, [rate(4), cpu(1 / 6)]),
    loadCase(
      'hard, 512 at a time',
      { atOnce: 512, keys: 10_000, checks: 40_000 },
      [rate(5.5), cpu(1 / 10)],
      false,
    ),
    loadCase(
      'hard, one hot key, 512 at a time',
      { atOnce: 512, keys: 1, checks: 80_000, limit: HOT_LIMIT },
      [rate(15)],
      false,
    ),
    // After 5,000 checks, long before the first turn, each is refused.
    loadCase(
      'hard, one hot key above its limit, 512 at a time',
      { atOnce: 512, keys: 1, checks: 80_000 },
      [],
      false,
      peers.spillwaySlowBucket,
    ),
  ],
}
