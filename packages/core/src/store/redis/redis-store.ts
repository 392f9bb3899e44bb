import { createRequire } from 'node:module'
import type { Algorithm } from '../../algorithms/algorithm.ts'
import { type Clock, systemClock } from '../../clock.ts'
import { ConfigError } from '../../errors.ts'
import {
  type JointTable,
  lateError,
  mismatchMessage,
  type Reply,
  type Request,
  repeatedError,
  type Store,
  signature,
  type Table,
  type TableName,
} from '../store.ts'
import { type Connection, checkTarget, connectionOptions, duplicate, type RedisClient } from './client.ts'
import { StoreOffset } from './offset.ts'
import { OwnConnection } from './own-connection.ts'
import { ReplyReader, Status } from './reply.ts'
import { jointScriptOf, requestJson, type Script, scriptOf } from './script.ts'

/** The version of what is kept in Redis; another one keeps its keys apart. */
const FORMAT = 1
export interface RedisStoreOptions {
  /** Time of this process. */
  clock?: Clock
  /** What every key in Redis begins with; default `'spillway'`. */
  prefix?: string
  /** @internal the scripts' time, for tests */
  now?: () => number
}

class RedisTable implements Table {
  readonly prefix: string
  private readonly script: Script
  private unanswered = 0
  /** Monotonic time since which commands have waited while none was answered. */
  private silentSince = Infinity

  constructor(
    private readonly store: RedisStore,
    private readonly name: string,
    readonly limit: Algorithm,
    group: string,
  ) {
    this.script = scriptOf(limit.algorithm)
    this.prefix = `${store.prefix}:${FORMAT}:{${group}}${name.slice(group.length)}`
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
    const answer = await this.answer(this.script, [this.prefix], () => [this.json(request)])
    return this.read(answer as Buffer, request)
  }

  json(request: Request): string {
    const { store, limit } = this
    return requestJson(limit, store.timed(request), store.testNow?.())
  }

  /** @throws ConfigError, StoreError where the script refused the request */
  read(answer: Buffer, request: Request, payer?: number): Reply {
    const { limit } = this
    const reader = new ReplyReader(answer)
    if (reader.status === Status.late) throw lateError()
    if (reader.status === Status.repeated) throw repeatedError()
    if (reader.status === Status.mismatch) {
      throw new ConfigError('ERR_MISMATCH', mismatchMessage(this.name, reader.text(), signature(limit)))
    }
    return reader.reply(limit, request.operations, request.limit !== undefined, payer)
  }

  /** @param args made when the command leaves, since they tell the time */
  async answer(script: Script, prefixes: string[], args: () => (string | number)[]): Promise<unknown> {
    const { store } = this
    const { clock } = store
    await store.connected(this.silentSince)
    this.unanswered++
    this.silentSince = Math.min(this.silentSince, clock.monotonic())
    try {
      await store.prepared(script)
      return await store.run(script, prefixes, args())
    } finally {
      this.unanswered--
      this.silentSince = this.unanswered > 0 ? clock.monotonic() : Infinity
    }
  }
}

/** What the bytes before a take's result say: of which tables it was taken. */
const Payer = { limits: 1, reserve: 2 } as const

class RedisJointTable implements JointTable {
  private readonly script: Script
  private readonly engines: number[]
  private readonly prefixes: string[]

  constructor(private readonly tables: readonly RedisTable[]) {
    ;[this.script, this.engines] = jointScriptOf(tables.map(({ limit }) => limit.algorithm))
    this.prefixes = tables.map(({ prefix }) => prefix)
  }

  async exchange(requests: readonly Request[], reserve: boolean): Promise<readonly Reply[]> {
    const { tables, script, engines, prefixes } = this
    const args = () => [
      ...tables.map((table, place) => table.json(requests[place] as Request)),
      reserve ? 1 : 0,
      ...engines,
    ]
    const answers = (await (tables[0] as RedisTable).answer(script, prefixes, args)) as Buffer[]
    if (!answers.every(said)) {
      const refusing = answers.findIndex(said)
      ;(tables[refusing] as RedisTable).read(answers[refusing] as Buffer, requests[refusing] as Request)
    }
    return tables.map((table, place) => {
      const payer = reserve && place === tables.length - 1 ? Payer.reserve : Payer.limits
      return table.read(answers[place] as Buffer, requests[place] as Request, payer)
    })
  }
}

function said(answer: Buffer): boolean {
  return answer.length > 0
}

class RedisStore implements Store {
  readonly prefix: string
  readonly offset: StoreOffset
  readonly testNow: (() => number) | undefined
  readonly clock: Clock
  /** Names may lie on several servers. */
  private readonly sharded: boolean
  private readonly connection: OwnConnection
  private readonly loads = new Map<string, Promise<void>>()
  private closed = false

  constructor(target: string | RedisClient, options: RedisStoreOptions) {
    this.prefix = options.prefix ?? 'spillway'
    this.clock = options.clock ?? systemClock
    this.testNow = options.now
    this.offset = new StoreOffset(this.clock.wall() - this.clock.monotonic())
    this.sharded = typeof target !== 'string' && 'nodes' in target
    const make = () => (typeof target === 'string' ? connectionTo(target) : duplicate(target))
    this.connection = new OwnConnection(make, this.clock)
  }

  open(name: string, limit: Algorithm, group = name): Table {
    return new RedisTable(this, name, limit, group)
  }

  join(tables: readonly TableName[]): JointTable | undefined {
    const [first] = tables
    if (this.sharded && tables.some(({ group }) => group !== first?.group)) return undefined
    return new RedisJointTable(
      tables.map(({ table, limit, group }) => new RedisTable(this, table, limit, group)),
    )
  }

  now(): number {
    if (this.testNow !== undefined) return this.testNow()
    return Math.floor(this.offset.at(this.clock.monotonic()))
  }

  recent(): number {
    if (this.testNow !== undefined) return this.testNow()
    return Math.floor(this.offset.at(this.clock.recent?.() ?? this.clock.monotonic()))
  }

  /** @param silentSince monotonic time since which commands have waited while none was answered */
  async connected(silentSince: number): Promise<void> {
    if (this.closed) {
      throw new ConfigError('ERR_CLOSED', 'the Redis store is closed: close limiters first, then their store')
    }
    this.connection.giveUpIfSilent(silentSince)
    await this.connection.established()
  }

  /**
   * The script loaded and the server's time known: so that commands sent one behind the other are carried out in their
   * order, and the first has a deadline too.
   */
  async prepared(script: Script): Promise<void> {
    let load = this.loads.get(script.sha)
    if (load === undefined) {
      load = this.load(script)
      this.loads.set(script.sha, load)
    }
    await load
  }

  private async load(script: Script): Promise<void> {
    try {
      await this.connection.command('SCRIPT', ['LOAD', script.text])
      const sent = this.clock.monotonic()
      const sentWall = this.clock.wall()
      const [seconds, micros] = (await this.connection.command('TIME', [])) as [Buffer, Buffer]
      this.offset.learn(
        Number(seconds) * 1000 + Number(micros) / 1000,
        sent,
        this.clock.monotonic(),
        sentWall,
      )
    } catch (error) {
      this.loads.delete(script.sha)
      throw this.connection.errorOf(error)
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
  async run(script: Script, prefixes: string[], args: (string | number)[]): Promise<unknown> {
    const sent = this.clock.monotonic()
    const sentWall = this.clock.wall()
    const keys = prefixes.flatMap((prefix) => [prefix, `${prefix}:meta`])
    const rest = [keys.length, ...keys, ...args]
    let reply: unknown
    try {
      reply = await this.connection.command('EVALSHA', [script.sha, ...rest])
    } catch (error) {
      if (!isMissingScript(error)) throw this.connection.errorOf(error)
      reply = await this.connection.command('EVAL', [script.text, ...rest]).catch((second: unknown) => {
        throw this.connection.errorOf(second)
      })
    }
    if (this.testNow === undefined) {
      const bytes = (Array.isArray(reply) ? reply.find(said) : reply) as Buffer
      this.offset.learn(bytes.readDoubleBE(1), sent, this.clock.monotonic(), sentWall)
    }
    return reply
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.connection.close()
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
