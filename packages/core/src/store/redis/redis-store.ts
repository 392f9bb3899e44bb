import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import type { Algorithm } from '../../algorithms/algorithm.ts'
import { type Clock, systemClock } from '../../clock.ts'
import { ConfigError, StoreError } from '../../errors.ts'
import {
  lateError,
  mismatchMessage,
  type Reply,
  type Request,
  repeatedError,
  type Store,
  signature,
  type Table,
} from '../store.ts'
import { type Connection, checkTarget, connectionOptions, duplicate, type RedisClient } from './client.ts'
import { StoreOffset } from './offset.ts'
import { ReplyReader, Status } from './reply.ts'
import { requestJson, type Script, scripts } from './script.ts'

/** The version of what is kept in Redis; another one keeps its keys apart. */
const FORMAT = 1
/**
 * Milliseconds without any answer to a limiter's commands, after which its connection counts as dead, though nothing
 * closed it: the server's side may have vanished without a word.
 */
const SILENCE = 3000

export interface RedisStoreOptions {
  /** Time of this process. */
  clock?: Clock
  /** What every key in Redis begins with; default `'spillway'`. */
  prefix?: string
  /** @internal the scripts' time, for tests */
  now?: () => number
}

class RedisTable implements Table {
  private readonly script: Script
  private readonly prefix: string
  private unanswered = 0
  /** Monotonic time since which commands have waited while none was answered. */
  private silentSince = Infinity

  constructor(
    private readonly store: RedisStore,
    private readonly name: string,
    private readonly limit: Algorithm,
  ) {
    this.script = scripts[limit.algorithm]
    this.prefix = `${store.prefix}:${FORMAT}:{${name}}`
  }

  get known(): boolean {
    return this.store.offset.known
  }

  now(): number {
    return this.store.now()
  }

  recent(): number {
    return this.store.recent()
  }

  latest(): number {
    return this.store.latest()
  }

  async exchange(request: Request): Promise<Reply> {
    const { limit } = this
    const reader = new ReplyReader(await this.answer(request))
    if (reader.status === Status.late) throw lateError()
    if (reader.status === Status.repeated) throw repeatedError()
    if (reader.status === Status.mismatch) {
      throw new ConfigError('ERR_MISMATCH', mismatchMessage(this.name, reader.text(), signature(limit)))
    }
    return reader.reply(limit, request.operations, request.limit !== undefined)
  }

  private async answer(request: Request): Promise<Buffer> {
    const { store, limit, script, prefix } = this
    const { clock } = store
    if (clock.monotonic() - this.silentSince > SILENCE) store.reconnect()
    this.unanswered++
    this.silentSince = Math.min(this.silentSince, clock.monotonic())
    try {
      await store.prepared(script)
      // A marker of its own each time: the node that began what is lost may be the one that begins it again.
      const json = requestJson(limit, randomUUID(), store.timed(request), store.testNow?.())
      return await store.run(script, prefix, json)
    } finally {
      this.unanswered--
      this.silentSince = this.unanswered > 0 ? clock.monotonic() : Infinity
    }
  }
}

class RedisStore implements Store {
  readonly prefix: string
  readonly offset: StoreOffset
  readonly testNow: (() => number) | undefined
  readonly clock: Clock
  private readonly connection: Connection
  private ready: Promise<void> | undefined
  /** Why the connection last failed: what a command is told is only that there is none. */
  private trouble: Error | undefined
  private readonly loads = new Map<string, Promise<void>>()
  private closed = false

  constructor(target: string | RedisClient, options: RedisStoreOptions) {
    this.prefix = options.prefix ?? 'spillway'
    this.clock = options.clock ?? systemClock
    this.testNow = options.now
    this.offset = new StoreOffset(this.clock.wall() - this.clock.monotonic())
    this.connection = typeof target === 'string' ? connectionTo(target) : duplicate(target)
    // Without a listener, ioredis prints errors; they reach callers through their commands.
    this.connection.on('error', (error: Error) => {
      this.trouble = error
    })
    this.connect()
  }

  /** Begins to connect; `ready` ends when the first attempt does. The client goes on trying by itself. */
  private connect(): void {
    this.ready = this.connection.connect().then(
      () => {
        this.ready = undefined
      },
      () => {
        this.ready = undefined
      },
    )
  }

  /** Gives the connection up, with what is under way, and makes another one. */
  reconnect(): void {
    this.connection.disconnect(true)
  }

  open(name: string, limit: Algorithm): Table {
    return new RedisTable(this, name, limit)
  }

  now(): number {
    if (this.testNow !== undefined) return this.testNow()
    return Math.floor(this.offset.at(this.clock.monotonic()))
  }

  recent(): number {
    if (this.testNow !== undefined) return this.testNow()
    return Math.floor(this.offset.at(this.clock.recent?.() ?? this.clock.monotonic()))
  }

  /**
   * Connected, with the script loaded and the server's time known: so that commands sent one behind the other are
   * carried out in their order, and the first has a deadline too.
   */
  async prepared(script: Script): Promise<void> {
    if (this.closed) {
      throw new ConfigError('ERR_CLOSED', 'the Redis store is closed: close limiters first, then their store')
    }
    if (this.ready !== undefined) await this.ready
    if (this.connection.status !== 'ready') {
      const cause = this.trouble
      const message = `Redis can't be reached: ${cause?.message ?? `the connection is in state ${this.connection.status}`}`
      throw new StoreError('ERR_STORE_AWAY', message, { cause })
    }
    let load = this.loads.get(script.sha)
    if (load === undefined) {
      load = this.load(script)
      this.loads.set(script.sha, load)
    }
    await load
  }

  private async load(script: Script): Promise<void> {
    try {
      await this.connection.callBuffer('SCRIPT', ['LOAD', script.text])
      const sent = this.clock.monotonic()
      const sentWall = this.clock.wall()
      const [seconds, micros] = (await this.connection.callBuffer('TIME', [])) as [Buffer, Buffer]
      this.offset.learn(
        Number(seconds) * 1000 + Number(micros) / 1000,
        sent,
        this.clock.monotonic(),
        sentWall,
      )
    } catch (error) {
      this.loads.delete(script.sha)
      throw this.storeError(error)
    }
  }

  latest(): number {
    if (this.testNow !== undefined) return this.testNow()
    return this.offset.latest(this.clock.monotonic(), this.clock.wall())
  }

  /** The request with its deadline in the server's time. @throws StoreError where it has passed while connecting */
  timed(request: Request): Request {
    if (request.until === undefined || this.testNow !== undefined) return request
    const left = request.until - this.clock.monotonic()
    if (left <= 0) throw lateError()
    return { ...request, deadline: this.now() + Math.ceil(left) }
  }

  /**
   * Runs a script by its hash, and once by its text where the server does not have it. Of its keys the first never
   * exists and the second nearly always does: while a Cluster moves their slot neither side has both, and refuses.
   */
  async run(script: Script, key: string, json: string): Promise<Buffer> {
    const sent = this.clock.monotonic()
    const sentWall = this.clock.wall()
    let reply: unknown
    try {
      reply = await this.connection.callBuffer('EVALSHA', [script.sha, 2, key, `${key}:meta`, json])
    } catch (error) {
      if (!isMissingScript(error)) throw this.storeError(error)
      reply = await this.connection
        .callBuffer('EVAL', [script.text, 2, key, `${key}:meta`, json])
        .catch((second: unknown) => {
          throw this.storeError(second)
        })
    }
    const bytes = reply as Buffer
    if (this.testNow === undefined)
      this.offset.learn(bytes.readDoubleBE(1), sent, this.clock.monotonic(), sentWall)
    return bytes
  }

  /** An error of the client as ours: one that the server sent is certain, a lost connection is not. */
  private storeError(error: unknown): StoreError {
    if (error instanceof Error && error.name === 'ReplyError') {
      return new StoreError('ERR_STORE_REPLY', `Redis refused the command: ${error.message}`, {
        cause: error,
      })
    }
    const cause = this.connection.status === 'ready' ? error : (this.trouble ?? error)
    const message = cause instanceof Error ? cause.message : String(cause)
    return new StoreError('ERR_STORE_AWAY', `Redis can't be reached: ${message}`, { cause, uncertain: true })
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.connection.disconnect()
  }
}

function isMissingScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

function connectionTo(url: string): Connection {
  let Redis: new (url: string, options: object) => Connection
  try {
    Redis = createRequire(import.meta.url)('ioredis').Redis
  } catch (cause) {
    throw new ConfigError('ERR_OPTION', "redisStore needs the package 'ioredis': npm install ioredis", {
      cause,
    })
  }
  return new Redis(url, connectionOptions)
}

/**
 * Counts in Redis (6.2 or newer) or Valkey, shared by all nodes. Uses a connection of its own: from a URL, or
 * duplicated from the ioredis `Redis` or `Cluster` that is passed in, whose options it keeps but for queueing and
 * re-sending. Made from a URL it holds the process open until it is closed.
 *
 * @throws ConfigError `ERR_OPTION` where the target is neither, or `ioredis` is not installed
 * @example
 * ```ts
 * import { createLimiter, fixedWindow } from '@spillway/core'
 * import { redisStore } from '@spillway/core/redis'
 *
 * const store = redisStore('redis://127.0.0.1:6379')
 * const limiter = createLimiter({ name: 'readme', limit: fixedWindow({ limit: 100, window: '1m' }), store })
 * console.log((await limiter.check('user:42')).source) // store
 * await limiter.close()
 * await store.close()
 * ```
 */
export function redisStore(target: string | RedisClient, options: RedisStoreOptions = {}): Store {
  checkTarget(target)
  return new RedisStore(target, options)
}
