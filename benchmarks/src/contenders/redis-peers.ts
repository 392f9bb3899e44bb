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
import { RateLimiterRedis, type RateLimiterRes } from 'rate-limiter-flexible'
import { untilBegun, windowAfterCounting } from '../next-window.ts'

/** Decides checks in Redis. */
export interface RedisPeer {
  /** The client's own promise, with nothing of ours around it. Some deny by rejecting with what is not an Error. */
  check(key: string): Promise<unknown>
  /** Whether an answer allows the check. */
  allowed(answer: unknown): boolean
  /** What remains by an answer that allows. */
  remaining(answer: unknown): number
  /** Called once each key has been asked for, before anything is measured. */
  warm?(): Promise<void>
  /**
   * How much of what was asked of a key may no longer count: all of it, in a bucket that drains. Undefined: nothing.
   */
  readonly freed?: number
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

/** @param keys how many will be asked for */
export type MakePeer = (url: string, limit: number, keys: number) => Promise<RedisPeer>

/** So long that a run seldom sees its end. */
const WINDOW_MS = 86_400_000

function spillway(url: string, limit: Limit): RedisPeer {
  const store = redisStore(url)
  const limiter = createLimiter({ name: 'bench', limit, store, timeout: '10s' })
  return {
    check: (key) => limiter.check(key),
    allowed: (decision: Decision) => decision.allowed,
    remaining: (decision: Decision) => decision.remaining,
    close: async () => {
      await limiter.close()
      await store.close()
    },
  }
}

export const spillwayFixed: MakePeer = async (url, limit) =>
  spillway(url, fixedWindow({ limit, window: WINDOW_MS }))

/** Each key has a count in the window before. */
export const spillwaySliding: MakePeer = async (url, limit, keys) => {
  const next = windowAfterCounting(keys)
  return { ...spillway(url, slidingWindow({ limit, window: next.length })), warm: () => untilBegun(next) }
}

/** Whole tokens drain between two checks of a key, in all but the slowest of cases its whole count. */
export const spillwayBucket: MakePeer = async (url, capacity) => {
  return { ...spillway(url, tokenBucket({ capacity, refill: capacity, per: '1m' })), freed: Infinity }
}

/** Gives no token back in a run: how many checks it refuses does not depend on the time. */
export const spillwaySlowBucket: MakePeer = async (url, capacity) =>
  spillway(url, tokenBucket({ capacity, refill: 1, per: '1h' }))

export const flexible: MakePeer = async (url, points) => {
  const redis = new Redis(url)
  const limiter = new RateLimiterRedis({ storeClient: redis, points, duration: WINDOW_MS / 1000 })
  return {
    check: (key) => limiter.consume(key),
    allowed: () => true,
    remaining: ({ remainingPoints }: RateLimiterRes) => remainingPoints,
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
    remaining: ({ totalHits }: { totalHits: number }) => limit - totalHits,
    close: async () => redis.disconnect(),
  }
}

/** Upstash's algorithms, as the package runs them, but over ioredis instead of HTTP. */
function upstash(
  subject: (
    limit: number,
    keys: number,
  ) => Pick<RedisPeer, 'warm' | 'freed'> & { algorithm: ReturnType<typeof Ratelimit.fixedWindow> },
): MakePeer {
  return async (url, limit, keys) => {
    const { algorithm, ...its } = subject(limit, keys)
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
      limiter: algorithm,
      ephemeralCache: false,
      timeout: 0,
    })
    return {
      check: (key) => limiter.limit(key),
      allowed: ({ success }: { success: boolean }) => success,
      remaining: ({ remaining }: { remaining: number }) => remaining,
      ...its,
      close: async () => redis.disconnect(),
    }
  }
}

export const upstashFixed = upstash((limit) => ({ algorithm: Ratelimit.fixedWindow(limit, '1 d') }))
/** What was counted in the window before is rounded down: of one count, none is left. */
export const upstashSliding = upstash((limit, keys) => {
  const next = windowAfterCounting(keys)
  const algorithm = Ratelimit.slidingWindow(limit, `${next.length} ms`)
  return { algorithm, warm: () => untilBegun(next), freed: 1 }
})
/** Refills as ours does, token by token. */
export const upstashBucket = upstash((limit) => ({
  algorithm: Ratelimit.tokenBucket(1, `${60_000 / limit} ms`, limit) as never,
  freed: Infinity,
}))

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
    remaining: (count: number) => limit - count,
    close: async () => redis.disconnect(),
  }
}
