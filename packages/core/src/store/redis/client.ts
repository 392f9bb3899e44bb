import { ConfigError, show } from '../../errors.ts'

/** What we need of an ioredis `Redis` or `Cluster` (or iovalkey's): recognised by methods, never by class. */
export interface RedisClient {
  readonly status: string
  duplicate(...args: never[]): unknown
  disconnect(): void
  /** The options it was made with; those of a cluster's connections are in `redisOptions`. */
  readonly options?: object
}

/** What a command is made of. */
export type Word = string | number | Buffer

/** A connection that is ours. */
export interface Connection {
  readonly status: string
  callBuffer(command: string, ...words: Word[]): Promise<unknown>
  connect(): Promise<void>
  disconnect(reconnect?: boolean): void
  quit(): Promise<unknown>
  on(event: string, listener: (...args: never[]) => void): unknown
}

/**
 * How our connection behaves, whatever the options of the client passed in: the client neither queues commands while it
 * is away nor re-sends those in flight. Spillway decides both, with its own deadlines.
 */
export const connectionOptions = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableAutoPipelining: false,
  enableReadyCheck: true,
  lazyConnect: true,
  connectTimeout: 2000,
  // The server may not answer when we close.
  disconnectTimeout: 100,
  keyPrefix: '',
  retryStrategy: (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 6), 2000),
} as const

/** Whether this is a client, by its methods. */
export function isClient(value: unknown): value is RedisClient {
  if (typeof value !== 'object' || value === null) return false
  const candidate = value as Record<string, unknown>
  return ['duplicate', 'callBuffer', 'disconnect', 'on'].every(
    (name) => typeof candidate[name] === 'function',
  )
}

/**
 * A Cluster's client sends ASKING before a command whose slot is moving, and drops the promise. If the connection is
 * lost before the answer, that unhandled rejection would end the process. The command itself tells of the failure.
 */
function handleAsking(node: { asking(): Promise<unknown> }): void {
  const { asking } = node
  node.asking = () => asking.call(node).catch(() => undefined)
}

/** A connection of our own, to the same server or cluster as the client's. */
export function duplicate(client: RedisClient): Connection {
  if ('nodes' in client) {
    const { retryStrategy, lazyConnect, enableOfflineQueue, ...ours } = connectionOptions
    // Merged here, since not every client's `duplicate` does it; they include credentials and TLS.
    const theirs = (client.options as { redisOptions?: object } | undefined)?.redisOptions
    const redisOptions = { ...theirs, ...ours }
    const options = { redisOptions, lazyConnect, enableOfflineQueue, clusterRetryStrategy: retryStrategy }
    const cluster = (client.duplicate as (nodes: never[], options: unknown) => Connection)([], options)
    cluster.on('+node', handleAsking)
    return cluster
  }
  return (client.duplicate as (options: unknown) => Connection)(connectionOptions)
}

/** @throws ConfigError `ERR_OPTION` if it is neither a Redis URL nor a client */
export function checkTarget(target: unknown): asserts target is string | RedisClient {
  if (typeof target === 'string' && /^(rediss?|unix):\/\/./.test(target)) return
  if (isClient(target)) return
  // There may be a password in what was meant to be a URL.
  const given = typeof target === 'string' && target !== '' ? 'no URL of Redis' : show(target)
  throw new ConfigError(
    'ERR_OPTION',
    `redisStore was given ${given}: give a URL such as 'redis://127.0.0.1:6379', or an ioredis Redis or Cluster`,
  )
}
