import { createLimiter, fixedWindow } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { lruFloor, mapFloor } from '../contenders/floors.ts'
import { keyNames } from '../keys.ts'
import { expectAdmitted, expectRemaining, quantile, turn } from '../measure.ts'
import type { Contender, Question } from '../question.ts'
import { holdsWhile } from '../turns.ts'

// What holding a key costs: its RAM, and how long the event loop is held while a million keys arrive.

const KEYS = 1_000_000
const BURST = 256
const LIMIT = 5000
const BYTES = 'bytes a key'
const LONGEST = 'ms the loop is held, longest'
const HELD = 'ms the loop is held, p99'
const OURS = 'spillway, soft over Redis'

interface Subject {
  check(key: string): { readonly allowed: boolean; readonly remaining: number }
  /** Resolves when all has been settled. */
  calm?(): Promise<void>
}

/** Bytes in use, once garbage that pending callbacks held is collected too. */
async function bytesInUse(): Promise<number> {
  for (let times = 0; times < 3; times++) {
    await turn()
    global.gc!()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function contender(name: string, make: (redisUrl: string, keys: number) => Subject): Contender {
  return {
    name,
    run: async ({ redisUrl, share }) => {
      const keys = Math.ceil(KEYS * share)
      // Made first: the keys' own bytes do not count.
      const names = keyNames(keys)
      // Before the subject is made: `lru-cache` takes room for all its keys at once.
      const before = await bytesInUse()
      const subject = make(redisUrl, keys)
      subject.check('first')
      await subject.calm?.()
      let admitted = 0
      const holds = await holdsWhile(async () => {
        for (let first = 0; first < keys; first += BURST) {
          for (let place = first; place < Math.min(keys, first + BURST); place++)
            if (subject.check(names[place]!).allowed) admitted++
          await turn()
        }
      })
      expectAdmitted(admitted, keys)
      await subject.calm?.()
      const bytes = ((await bytesInUse()) - before) / keys
      // Held until here: else it could have been collected before it was measured.
      await expectRemaining(
        new Uint32Array(keys).fill(1),
        LIMIT,
        (place) => subject.check(names[place]!).remaining,
      )
      return { [BYTES]: bytes, [LONGEST]: Math.max(...holds), [HELD]: quantile(holds, 0.99) }
    },
  }
}

const WINDOW_MS = 86_400_000

function spillway(isRedis: boolean): (redisUrl: string, keys: number) => Subject {
  return (redisUrl, keys) => {
    const limiter = createLimiter({
      name: 'bench',
      limit: fixedWindow({ limit: LIMIT, window: WINDOW_MS }),
      mode: 'soft',
      maxKeys: 2 * keys,
      timeout: '10s',
      ...(isRedis ? { store: redisStore(redisUrl) } : {}),
    })
    return { check: (key) => limiter.checkSync(key), calm: () => limiter.flush() }
  }
}

export const ram: Question = {
  name: 'ram',
  title: 'A million keys',
  cases: [
    {
      name: 'filling to 1 million keys',
      redis: true,
      contenders: [
        contender('floor: lru-cache', (_, keys) => ({ check: lruFloor(2 * keys, LIMIT, WINDOW_MS) })),
        contender('floor: Map', () => ({ check: mapFloor(LIMIT, WINDOW_MS) })),
        contender(OURS, spillway(true)),
        contender('spillway, soft, memory store', spillway(false)),
      ],
      targets: [
        { measure: BYTES, ours: OURS, atMost: 250 },
        { measure: LONGEST, ours: OURS, atMost: 20 },
      ],
    },
  ],
}
