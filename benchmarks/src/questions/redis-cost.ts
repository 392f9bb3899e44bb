import { createLimiter, fixedWindow, type Mode } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { Redis } from 'ioredis'
import { keyNames } from '../keys.ts'
import { expectAdmitted, expectRemaining } from '../measure.ts'
import type { Contender, Measures, Question } from '../question.ts'

// What one key's entry in a command costs Redis and the network: the factors of `docs/scaling.md`.

/** Of Redis's CPU. */
export const CPU = 'µs of Redis CPU an entry'
const KEYS = 20_000
const PASSES = 6
const LIMIT = 1_000_000

interface Used {
  readonly cpu: number
  readonly received: number
  readonly sent: number
}

/** What the server says it has used: seconds of CPU, bytes. */
async function used(redis: Redis): Promise<Used> {
  const info = await redis.info()
  const number = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1])
  return {
    cpu: number('used_cpu_user') + number('used_cpu_sys'),
    received: number('total_net_input_bytes'),
    sent: number('total_net_output_bytes'),
  }
}

/** How each key is checked once. */
type Ask = (names: readonly string[], check: (name: string) => Promise<void>) => Promise<unknown>

const together: Ask = (names, check) => Promise.all(names.map(check))

/** Each hard check is a command of its own. */
const oneByOne: Ask = async (names, check) => {
  for (const name of names) await check(name)
}

function contender(
  name: string,
  mode: Mode,
  { ask = together, keys = KEYS, passes = PASSES } = {},
): Contender {
  return {
    name,
    run: async ({ redisUrl, share }) => {
      const names = keyNames(Math.ceil(keys * share))
      const store = redisStore(redisUrl)
      const redis = new Redis(redisUrl)
      const limit = fixedWindow({ limit: LIMIT, window: '1d' })
      const options = { name: 'bench', limit, store, timeout: '10s' } as const
      const limiter = createLimiter({
        ...options,
        mode,
        maxKeys: 2 * KEYS,
        // Nothing settles by itself.
        ...(mode === 'hard' ? {} : { sync: { interval: '1h' } }),
      })
      let admitted = 0
      const pass = async () => {
        await ask(names, async (name) => {
          if ((await limiter.check(name)).allowed) admitted++
        })
        await limiter.flush()
      }
      // Twice: a new key is read before it is settled.
      await pass()
      await pass()
      const before = { ...(await used(redis)), ...limiter.stats() }
      for (let count = 0; count < passes; count++) await pass()
      const after = { ...(await used(redis)), ...limiter.stats() }
      expectAdmitted(admitted, names.length * (passes + 2))
      await limiter.close()
      // What Redis has counted, as another node hears it.
      const other = createLimiter(options)
      const counts = new Uint32Array(names.length).fill(passes + 2)
      await expectRemaining(counts, LIMIT, async (place) => (await other.check(names[place]!)).remaining)
      redis.disconnect()
      await other.close()
      await store.close()
      return costOf(before, after)
    },
  }
}

/** How many nodes share the keys in the second case. */
export const SHARED_BY = [1, 8, 64, 512]
/** Keys that a node settles together: as many in a command, however many nodes there are. */
const TOGETHER = 100
/** How many nodes settle while it is measured, at most. */
const SETTLING = 40
/**
 * How often each of them settles a key then. What quota is booked for is settled the long way, which costs two to three
 * times as much. Nodes that have known a key for long book none while plenty is left. They do of a key that is new to
 * them, once they have admitted eight of it.
 */
const TIMES = 5
/** Entries that are measured, after each node has settled each key. */
const SHARED_ENTRIES = 20_000

/** The contender's name in the second case. */
export function sharedBy(nodes: number): string {
  return nodes === 1 ? 'soft, 1 node' : `soft, keys shared by ${nodes} nodes`
}

/** Each node has settled each key in the window: the key's row has an entry for each. */
function sharing(count: number): Contender {
  return {
    name: sharedBy(count),
    run: async ({ redisUrl, share }) => {
      const settling = Math.min(count, SETTLING)
      const groups = Math.ceil((SHARED_ENTRIES * share) / (TIMES * settling * TOGETHER))
      const names = keyNames(groups * TOGETHER)
      const store = redisStore(redisUrl)
      const redis = new Redis(redisUrl)
      const limit = fixedWindow({ limit: LIMIT, window: '1d' })
      const nodes = Array.from({ length: count }, () =>
        createLimiter({
          name: 'bench',
          limit,
          mode: 'soft',
          store,
          timeout: '10s',
          sync: { interval: '1h' },
        }),
      )
      let admitted = 0
      const settle = async (node: (typeof nodes)[number]) => {
        for (let first = 0; first < names.length; first += TOGETHER) {
          const some = names.slice(first, first + TOGETHER)
          for (const name of some) if (node.checkSync(name).allowed) admitted++
          await node.flush()
        }
      }
      // Twice: a new key is read before it is settled.
      for (let pass = 0; pass < 2; pass++) for (const node of nodes) await settle(node)
      const before = { ...(await used(redis)), ...sum(nodes.map((node) => node.stats())) }
      for (let time = 0; time < TIMES; time++) for (const node of nodes.slice(0, settling)) await settle(node)
      const after = { ...(await used(redis)), ...sum(nodes.map((node) => node.stats())) }
      expectAdmitted(admitted, names.length * (2 * count + TIMES * settling))
      const bytes = await bytesOf(redis)
      redis.disconnect()
      await Promise.all(nodes.map((node) => node.close()))
      await store.close()
      return { ...costOf(before, after), 'bytes of Redis a key': bytes / names.length }
    },
  }
}

interface Sent {
  readonly storeEntries: number
  readonly storeCalls: number
}

function sum(sent: readonly Sent[]): Sent {
  const total = { storeEntries: 0, storeCalls: 0 }
  for (const { storeEntries, storeCalls } of sent) {
    total.storeEntries += storeEntries
    total.storeCalls += storeCalls
  }
  return total
}

function costOf(before: Used & Sent, after: Used & Sent): Measures {
  const entries = after.storeEntries - before.storeEntries
  return {
    [CPU]: ((after.cpu - before.cpu) * 1e6) / entries,
    'bytes to Redis an entry': (after.received - before.received) / entries,
    'bytes from Redis an entry': (after.sent - before.sent) / entries,
    'entries a command': entries / (after.storeCalls - before.storeCalls),
  }
}

/** The memory of all keys. */
async function bytesOf(redis: Redis): Promise<number> {
  let bytes = 0
  for (const key of await redis.keys('*')) bytes += (await redis.memory('USAGE', key, 'SAMPLES', 0)) ?? 0
  return bytes
}

export const redisCost: Question = {
  name: 'redis-cost',
  title: 'What an entry costs Redis',
  cases: [
    {
      name: 'what an entry costs Redis',
      redis: true,
      contenders: [
        contender('hard', 'hard'),
        contender('hard, one key a command', 'hard', { ask: oneByOne, keys: KEYS / 4, passes: 1 }),
        contender('soft', 'soft'),
        contender('leased', 'leased'),
      ],
      targets: [],
    },
    {
      name: 'what a settled entry costs Redis, by how many nodes share its key',
      redis: true,
      contenders: SHARED_BY.map(sharing),
      targets: [],
    },
  ],
}
