import { createRequire } from 'node:module'
import type { Algorithm } from '../../algorithms/algorithm.ts'
import { type Clock, checkClock, systemClock } from '../../clock.ts'
import { ConfigError, show } from '../../errors.ts'
import { checkOptionNames, holdsOptions } from '../../option-names.ts'
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
import {
  type Connection,
  checkTarget,
  connectionOptions,
  duplicate,
  type RedisClient,
  type Word,
} from './client.ts'
import { StoreOffset } from './offset.ts'
import { OwnConnection } from './own-connection.ts'
import { QuickTakes } from './quick-takes.ts'
import { isQuickAnswer, ReplyReader, Status } from './reply.ts'
import {
  isQuick,
  jointScriptOf,
  mayBeTakes,
  requestHead,
  requestJson,
  type Script,
  scriptOf,
} from './script.ts'
import { Settlements } from './settlements.ts'

/** The version of the format in Redis; other versions use other keys. */
const FORMAT = 1
/** How many hash slots of a Cluster a limiter's keys are spread over. */
const CLUSTER_SHARDS = 16
const MOST_SHARDS = 1024

export interface RedisStoreOptions {
  /** Time of this process. */
  clock?: Clock | undefined
  /** What every key in Redis begins with; default `'spillway'`. */
  prefix?: string | undefined
  /**
   * How many hash slots the keys of each limiter are spread over, so that a Cluster's servers share its load: from 1 to
   * 1024, the same on all nodes. Default: 16 on a Cluster, otherwise 1.
   */
  shards?: number | undefined
  /** @internal the scripts' time, for tests */
  now?: (() => number) | undefined
}

class RedisTable implements Table {
  /** The script's KEYS. */
  readonly keys: readonly string[]
  readonly place: string
  /** What all limiters that count here must have in common, including the number of shards. */
  private readonly signature: string
  /** The clock offset of the table's server. */
  private readonly offset: StoreOffset
  private readonly script: Script
  private head: { readonly node: string; readonly text: string } | undefined
  private readonly quick: QuickTakes | undefined
  private unanswered = 0
  /** Monotonic time since which commands have waited while none was answered. */
  private silentSince = Infinity

  constructor(
    private readonly store: RedisStore,
    private readonly name: string,
    readonly limit: Algorithm,
    group: string,
    shard: number,
  ) {
    this.script = scriptOf(limit.algorithm)
    const { shards } = store
    this.signature = shards === 1 ? signature(limit) : `${shards} shards/${signature(limit)}`
    const tag = shard === 0 ? group : `${group}#${shard}`
    const prefix = `${store.prefix}:${FORMAT}:{${tag}}${name.slice(group.length)}`
    this.keys = [prefix, `${prefix}:meta`]
    this.place = store.isCluster ? tag : ''
    if (isQuick(limit)) this.quick = new QuickTakes(limit, this.script.sha, prefix, store.isCluster)
    this.offset = store.offsetOf(this.place)
  }

  get known(): boolean {
    return this.offset.known
  }

  now(): number {
    const { store } = this
    return store.testNow?.() ?? Math.floor(this.offset.at(store.clock.monotonic()))
  }

  latest(): number {
    const { clock, testNow } = this.store
    return testNow?.() ?? this.offset.latest(clock.monotonic(), clock.wall())
  }

  exchange(request: Request): Promise<Reply> {
    const settlements = Settlements.of(this.limit.algorithm, request.operations)
    const words = (isLater: boolean) => this.words(isLater ? this.timed(request) : request, settlements)
    const read = (answer: unknown) => this.read(answer as Buffer, request, settlements)
    return this.answer(this.script, this.keys, words, read)
  }

  /** A quick take if possible. */
  private words(request: Request, settlements: Settlements | undefined): Word[] {
    const { script, keys, quick, store } = this
    const head = this.headOf(request)
    if (quick !== undefined && mayBeTakes(request)) {
      const words = quick.words(request, head, this, store.testNow)
      if (words !== undefined) return words
    }
    const json = requestJson(head, request, store.testNow?.(), settlements)
    const words = [script.sha, keys.length, ...keys, json]
    if (settlements === undefined || settlements.raised.count === 0) return words
    return [...words, ...settlements.raised.words(request.node, this.limit.window)]
  }

  json(request: Request, isLater: boolean): string {
    const timed = isLater ? this.timed(request) : request
    return requestJson(this.headOf(request), timed, this.store.testNow?.())
  }

  private headOf({ node }: Request): string {
    if (this.head?.node !== node) this.head = { node, text: requestHead(this.limit, this.signature, node) }
    return this.head.text
  }

  /** The request with its deadline in the server's time. @throws StoreError if it has passed while connecting */
  private timed(request: Request): Request {
    const { clock, testNow } = this.store
    if (request.until === undefined || testNow !== undefined) return request
    const left = request.until - clock.monotonic()
    if (left <= 0) throw lateError()
    return { ...request, deadline: this.now() + Math.ceil(left) }
  }

  /** @throws ConfigError, StoreError if the script refused the request */
  read(answer: Buffer, request: Request, settlements?: Settlements, payer?: number): Reply {
    const { limit, quick } = this
    const status = answer[0]
    if (isQuickAnswer(answer)) return (quick as QuickTakes).read(answer, request)
    if (status === Status.late) throw lateError()
    if (status === Status.repeated) throw repeatedError()
    const reader = new ReplyReader(answer)
    if (status === Status.mismatch) {
      throw new ConfigError('ERR_MISMATCH', mismatchMessage(this.name, reader.text(), this.signature))
    }
    const reply = reader.reply(limit, request.operations, request.limit !== undefined, settlements, payer)
    quick?.learn(reply)
    return reply
  }

  /**
   * Not an async function, nor are those below it: each would cost a check its state.
   *
   * @param words made when the command leaves: later, if there is no connection yet or the script is not loaded
   * @param read what the caller is told
   */
  answer<T>(
    script: Script,
    keys: readonly string[],
    words: (isLater: boolean) => Word[],
    read: (answer: unknown) => T,
  ): Promise<T> {
    const connecting = this.store.connected(this.silentSince)
    if (connecting === undefined) return this.sent(script, keys, words, read, false)
    return connecting.then(() => this.sent(script, keys, words, read, true))
  }

  private sent<T>(
    script: Script,
    keys: readonly string[],
    words: (isLater: boolean) => Word[],
    read: (answer: unknown) => T,
    isLater: boolean,
  ): Promise<T> {
    const { store, offset } = this
    const at = store.clock.monotonic()
    if (this.unanswered++ === 0) this.silentSince = at
    const ended = (isAnswered: boolean) => this.ended(isAnswered)
    const preparing = store.prepared(script, this.place, keys, offset)
    if (preparing === undefined && !isLater) return store.run(script, words(false), offset, at, ended, read)
    // A command that leaves late may be past its deadline: then it waits for no answer any more.
    const leaves = Promise.resolve(preparing).then(() => words(true))
    return leaves.then(
      (late) => store.run(script, late, offset, store.clock.monotonic(), ended, read),
      (error: unknown) => {
        ended(false)
        throw error
      },
    )
  }

  private ended(isAnswered: boolean): void {
    if (!isAnswered) this.quick?.forget()
    this.silentSince = --this.unanswered > 0 ? this.store.clock.monotonic() : Infinity
  }
}

/** The bytes before a take's result, one per cost: which tables it was taken from. */
const Payer = { limits: 1, reserve: 2 } as const

class RedisJointTable implements JointTable {
  private readonly script: Script
  private readonly engines: number[]
  private readonly keys: readonly string[]

  constructor(private readonly tables: readonly RedisTable[]) {
    ;[this.script, this.engines] = jointScriptOf(tables.map(({ limit }) => limit.algorithm))
    this.keys = tables.flatMap(({ keys }) => keys)
  }

  exchange(requests: readonly Request[], reserve: boolean): Promise<readonly Reply[]> {
    const { tables, script, engines, keys } = this
    const words = (isLater: boolean) => [
      script.sha,
      keys.length,
      ...keys,
      ...tables.map((table, place) => table.json(requests[place] as Request, isLater)),
      reserve ? 1 : 0,
      ...engines,
    ]
    return (tables[0] as RedisTable).answer(script, keys, words, (answers) =>
      this.read(answers as Buffer[], requests, reserve),
    )
  }

  private read(answers: readonly Buffer[], requests: readonly Request[], reserve: boolean): Reply[] {
    const { tables } = this
    if (!answers.every(said)) {
      const refusing = answers.findIndex(said)
      ;(tables[refusing] as RedisTable).read(answers[refusing] as Buffer, requests[refusing] as Request)
    }
    return tables.map((table, place) => {
      const payer = reserve && place === tables.length - 1 ? Payer.reserve : Payer.limits
      return table.read(answers[place] as Buffer, requests[place] as Request, undefined, payer)
    })
  }
}

function said(answer: Buffer): boolean {
  return answer.length > 0
}

class RedisStore implements Store {
  readonly prefix: string
  readonly shards: number
  /** Tables may lie on several servers. */
  readonly isCluster: boolean
  readonly testNow: (() => number) | undefined
  readonly clock: Clock
  /** By place. */
  private readonly offsets = new Map<string, StoreOffset>()
  private readonly connection: OwnConnection
  private readonly loads = new Map<string, Promise<void>>()
  private readonly loaded = new Set<string>()
  private closed = false

  constructor(target: string | RedisClient, options: RedisStoreOptions) {
    this.prefix = options.prefix ?? 'spillway'
    this.clock = options.clock ?? systemClock
    this.testNow = options.now
    this.isCluster = typeof target !== 'string' && 'nodes' in target
    this.shards = options.shards ?? (this.isCluster ? CLUSTER_SHARDS : 1)
    const make = () => (typeof target === 'string' ? connectionTo(target) : duplicate(target))
    this.connection = new OwnConnection(make, this.clock)
  }

  open(name: string, limit: Algorithm, group = name, shard = 0): RedisTable {
    return new RedisTable(this, name, limit, group, shard)
  }

  join(tables: readonly TableName[]): JointTable {
    return new RedisJointTable(
      tables.map(({ table, limit, group, shard }) => this.open(table, limit, group, shard)),
    )
  }

  offsetOf(place: string): StoreOffset {
    let offset = this.offsets.get(place)
    if (offset === undefined) {
      offset = new StoreOffset(this.clock.wall() - this.clock.monotonic())
      this.offsets.set(place, offset)
    }
    return offset
  }

  /**
   * Undefined if there is a connection.
   *
   * @param silentSince monotonic time since which commands have waited while none was answered
   */
  connected(silentSince: number): Promise<void> | undefined {
    if (this.closed) {
      throw new ConfigError('ERR_CLOSED', 'the Redis store is closed: close limiters first, then their store')
    }
    this.connection.giveUpIfSilent(silentSince)
    return this.connection.established()
  }

  /**
   * Loads the script where the keys are and learns that server's time, so that commands sent one after the other are
   * carried out in order, and the first has a deadline too. Undefined if that is done.
   */
  prepared(
    script: Script,
    place: string,
    keys: readonly string[],
    offset: StoreOffset,
  ): Promise<void> | undefined {
    const name = place === '' ? script.sha : `${script.sha} ${place}`
    if (this.loaded.has(name)) return undefined
    let load = this.loads.get(name)
    if (load === undefined) {
      load = this.load(script, keys, offset).then(
        () => void this.loaded.add(name),
        (error: unknown) => {
          this.loads.delete(name)
          throw this.connection.errorOf(error)
        },
      )
      this.loads.set(name, load)
    }
    return load
  }

  private async load(script: Script, keys: readonly string[], offset: StoreOffset): Promise<void> {
    const sent = this.clock.monotonic()
    const sentWall = this.clock.wall()
    const answer = await this.connection.command('eval', [script.text, keys.length, ...keys, 'time'])
    const [seconds, micros] = answer as [Buffer, Buffer]
    const storeTime = Number(seconds) * 1000 + Number(micros) / 1000
    offset.learn(storeTime, sent, this.clock.monotonic(), sentWall)
  }

  /**
   * Runs a script by its hash, or by its text if the server does not have it. On a Cluster, one of its keys never
   * exists and the other nearly always does: while their slot moves, no server has both, and each refuses.
   *
   * @param words its hash, the number of keys, keys and arguments
   * @param sent the monotonic time now
   * @param ended called once nothing more is waited for
   * @param read what the caller is told of an answer
   */
  run<T>(
    script: Script,
    words: Word[],
    offset: StoreOffset,
    sent: number,
    ended: (isAnswered: boolean) => void,
    read: (answer: unknown) => T,
  ): Promise<T> {
    const { clock, connection } = this
    const sentWall = clock.wall()
    const answered = (answer: unknown) => {
      ended(true)
      if (this.testNow === undefined) {
        const bytes = (Array.isArray(answer) ? answer.find(said) : answer) as Buffer
        const cut = isQuickAnswer(bytes) ? 1 : 0
        offset.learn(bytes.readDoubleBE(1), sent, clock.monotonic(), sentWall, cut)
      }
      return read(answer)
    }
    const failed = (error: unknown) => {
      ended(false)
      throw connection.errorOf(error)
    }
    return connection.command('evalsha', words).then(answered, (error) => {
      if (!isMissingScript(error)) return failed(error)
      words[0] = script.text
      return connection.command('eval', words).then(answered, failed)
    })
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.connection.close()
  }
}

/** @throws ConfigError `ERR_OPTION` */
function checkOptions(options: RedisStoreOptions): void {
  if (!holdsOptions(options)) {
    throw new ConfigError(
      'ERR_OPTION',
      `the second argument is ${show(options)}: give an object such as { prefix: 'shop' }`,
    )
  }
  const { now: _, ...named } = options
  checkOptionNames(named, 'redisStore', ['prefix', 'shards', 'clock'])
  const { prefix, shards, clock = systemClock } = options
  checkShards(shards)
  checkClock(clock)
  if (prefix !== undefined && (typeof prefix !== 'string' || prefix === '')) {
    throw new ConfigError('ERR_OPTION', `prefix is ${show(prefix)}: give a string such as 'shop'`)
  }
}

/** @throws ConfigError `ERR_OPTION` */
function checkShards(shards: unknown): void {
  if (shards === undefined) return
  if (Number.isInteger(shards) && (shards as number) >= 1 && (shards as number) <= MOST_SHARDS) return
  throw new ConfigError('ERR_OPTION', `shards is ${show(shards)}: give an integer from 1 to ${MOST_SHARDS}`)
}

function isMissingScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

const NO_IOREDIS =
  "redisStore finds no package 'ioredis': npm install ioredis, or in a bundle pass a client: redisStore(new Redis(url))"

function connectionTo(url: string): Connection {
  let Redis: new (url: string, options: object) => Connection
  try {
    // CommonJS that esbuild writes has no `import.meta.url`, but has `__filename`.
    Redis = createRequire(import.meta.url ?? __filename)('ioredis').Redis
  } catch (cause) {
    throw new ConfigError('ERR_OPTION', NO_IOREDIS, { cause })
  }
  try {
    return new Redis(url, connectionOptions)
  } catch {
    // Shows neither the URL nor the cause, which holds it: there may be a password in it.
    throw new ConfigError(
      'ERR_OPTION',
      "redisStore was given a URL that can't be read: give one such as 'redis://:PASSWORD@127.0.0.1:6379', the password in encodeURIComponent's form",
    )
  }
}

/**
 * Counts in Redis (6.2 or newer) or Valkey, shared by all nodes. Uses a connection of its own: from a URL, or
 * duplicated from the ioredis `Redis` or `Cluster` that is passed in, whose options it keeps except for queueing,
 * retries, timeouts and `keyPrefix` (give `prefix`). Made from a URL it holds the process open until it is closed.
 *
 * @throws ConfigError `ERR_OPTION` if the target is neither, or `ioredis` is not installed
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
  checkOptions(options)
  return new RedisStore(target, options)
}
