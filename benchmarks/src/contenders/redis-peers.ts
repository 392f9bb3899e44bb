import { createHash } from 'node:crypto'
import {
  createLimiter,
  type Decision,
  fixedWindow,
  type Limit,
  slidingWindow,
  tokenBucket,
} from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { Ratelimit } from '@upstash/ratelimit'
import { Redis } from 'ioredis'
import { RedisStore } from 'rate-limit-redis'
import { RateLimiterRedis } from 'rate-limiter-flexible'

/** Decides checks in Redis. */
export interface RedisPeer {
  /** The client's own promise, with nothing of ours around it. Some deny by rejecting with what is not an Error. */
  check(key: string): Promise<unknown>
  /** Whether an answer allows the check. */
  allowed(answer: unknown): boolean
  close(): Promise<void>
}

/** @throws what is not a refusal */
export async function admits(peer: RedisPeer, key: string): Promise<boolean> {
  try {
    return peer.allowed(await peer.check(key))
  } catch (refusal) {
    if (refusal instanceof Error) throw refusal
    return false
  }
}

export type MakePeer = (url: string, limit: number) => Promise<RedisPeer>

/** So long that a run seldom sees its end. */
const WINDOW_MS = 86_400_000

export function spillwayHard(limitOf: (limit: number) => Limit): MakePeer {
  return async (url, limit) => {
    const store = redisStore(url)
    const limiter = createLimiter({ name: 'bench', limit: limitOf(limit), store, timeout: '10s' })
    return {
      check: (key) => limiter.check(key),
      allowed: (decision: Decision) => decision.allowed,
      close: async () => {
        await limiter.close()
        await store.close()
      },
    }
  }
}

export const spillwayFixed = spillwayHard((limit) => fixedWindow({ limit, window: WINDOW_MS }))
export const spillwaySliding = spillwayHard((limit) => slidingWindow({ limit, window: WINDOW_MS }))
export const spillwayBucket = spillwayHard((capacity) => tokenBucket({ capacity, refill: 1, per: '1h' }))

export const flexible: MakePeer = async (url, points) => {
  const redis = new Redis(url)
  const limiter = new RateLimiterRedis({ storeClient: redis, points, duration: WINDOW_MS / 1000 })
  return {
    check: (key) => limiter.consume(key),
    allowed: () => true,
    close: async () => redis.disconnect(),
  }
}

export const expressWithRedis: MakePeer = async (url, limit) => {
  const redis = new Redis(url)
  const store = new RedisStore({
    sendCommand: (command, ...args) => redis.call(command!, ...args) as Promise<number>,
  })
  store.init({ windowMs: WINDOW_MS } as Parameters<typeof store.init>[0])
  return {
    check: (key) => store.increment(key),
    allowed: ({ totalHits }: { totalHits: number }) => totalHits <= limit,
    close: async () => redis.disconnect(),
  }
}

/** Upstash's algorithms, as the package runs them, but over ioredis instead of HTTP. */
function upstash(algorithm: (limit: number) => ReturnType<typeof Ratelimit.fixedWindow>): MakePeer {
  return async (url, limit) => {
    const redis = new Redis(url)
    const parsed = (reply: unknown): unknown => {
      if (Array.isArray(reply)) return reply.map(parsed)
      return typeof reply === 'string' && /^-?\d+$/.test(reply) ? Number(reply) : reply
    }
    const texts = (values: readonly unknown[]) => values.map(String)
    // The scripts begin with a flag that only Upstash's own server knows. Without it they have another hash.
    const plain = new Map<string, string>()
    const client = {
      evalsha: async (sha: string, keys: string[], args: unknown[]) => {
        const known = plain.get(sha)
        if (known === undefined) throw new Error('NOSCRIPT')
        return parsed(await redis.evalsha(known, keys.length, ...keys, ...texts(args)))
      },
      eval: async (text: string, keys: string[], args: unknown[]) => {
        const known = (await redis.script('LOAD', text.replace(/^#!.*\n/, ''))) as string
        plain.set(createHash('sha1').update(text).digest('hex'), known)
        return parsed(await redis.evalsha(known, keys.length, ...keys, ...texts(args)))
      },
    }
    const limiter = new Ratelimit({
      redis: client as never,
      limiter: algorithm(limit),
      ephemeralCache: false,
      timeout: 0,
    })
    return {
      check: (key) => limiter.limit(key),
      allowed: ({ success }: { success: boolean }) => success,
      close: async () => redis.disconnect(),
    }
  }
}

export const upstashFixed = upstash((limit) => Ratelimit.fixedWindow(limit, '1 d'))
export const upstashSliding = upstash((limit) => Ratelimit.slidingWindow(limit, '1 d'))
export const upstashBucket = upstash((limit) => Ratelimit.tokenBucket(1, '1 d', limit) as never)

/** The floor: a counter that decides nothing and never expires. */
export const increments: MakePeer = async (url, limit) => {
  return increment(new Redis(url), limit)
}

/** The same, but commands of one turn are sent together. */
export const pipelinedIncrements: MakePeer = async (url, limit) => {
  return increment(new Redis(url, { enableAutoPipelining: true }), limit)
}

function increment(redis: Redis, limit: number): RedisPeer {
  return {
    check: (key) => redis.incr(key),
    allowed: (count: number) => count <= limit,
    close: async () => redis.disconnect(),
  }
}
