import type { Clock } from '../../clock.ts'
import { StoreError } from '../../errors.ts'
import type { Connection, Word } from './client.ts'

/**
 * Milliseconds after which an open connection counts as dead if no waiting command is answered: the server may have
 * vanished without closing it.
 */
const SILENCE = 3000
/**
 * The patience doubles with each client given up, up to the longest, until one has lasted: in a Cluster a single server
 * may be silent, and the others' answers are given up with it.
 */
const LONGEST_SILENCE = 60_000
const LASTING = 120_000
/** Milliseconds that a client may spend at one step of connecting; its own pauses are at most 2,000. */
const STANDSTILL = 5000
/** Match an error that a script met while it ran, and those that it meets before it has written anything. */
const IN_SCRIPT = /@user_script|script: [0-9a-f]{40}/
const BEFORE_WRITING = /(^|-)(OOM|READONLY|MISCONF|NOREPLICAS) /
/** The steps in a client's life, which it emits as events. */
const STEPS = ['connecting', 'connect', 'ready', 'close', 'reconnecting', 'disconnecting', 'end']

/**
 * Our connection to Redis. If it is closed, the client makes it again; if it is dead or stuck without being closed,
 * another client takes its place.
 */
export class OwnConnection {
  private connection: Connection
  private ready: Promise<void> | undefined
  /** Why the connection last failed: a command is told only that there is none. */
  private trouble: Error | undefined
  /** Monotonic times at which the client was made, and of its last step. */
  private madeAt = 0
  private stepAt = 0
  private patience = SILENCE

  constructor(
    private readonly make: () => Connection,
    private readonly clock: Clock,
  ) {
    this.connection = this.open()
  }

  /** Begins to connect. `ready` resolves when the first attempt ends; the client goes on trying by itself. */
  private open(): Connection {
    const connection = this.make()
    this.madeAt = this.stepAt = this.clock.monotonic()
    // Without a listener, ioredis prints errors; they reach callers through their commands.
    connection.on('error', (error: Error) => {
      this.trouble = error
    })
    for (const step of STEPS) {
      connection.on(step, () => {
        if (connection === this.connection) this.stepAt = this.clock.monotonic()
      })
    }
    const attempt = connection
      .connect()
      .catch(() => {})
      .then(() => {
        if (this.ready === attempt) this.ready = undefined
      })
    this.ready = attempt
    return connection
  }

  private replace(): void {
    const old = this.connection
    this.connection = this.open()
    old.disconnect()
  }

  /** @param since monotonic time since which commands have waited while none was answered */
  giveUpIfSilent(since: number): void {
    if (since === Infinity) return
    const now = this.clock.monotonic()
    if (now - this.madeAt > LASTING) this.patience = SILENCE
    // Commands over an earlier connection tell nothing about this one.
    if (now - Math.max(since, this.madeAt) <= this.patience) return
    this.patience = Math.min(2 * this.patience, LONGEST_SILENCE)
    this.replace()
  }

  /** Undefined if there is a connection: without a promise, successive commands keep their order. */
  established(): Promise<void> | undefined {
    return this.ready === undefined && this.connection.status === 'ready' ? undefined : this.establish()
  }

  /** Waits for the first attempt to connect. @throws StoreError if there is no connection */
  private async establish(): Promise<void> {
    if (this.connection.status !== 'ready' && this.clock.monotonic() - this.stepAt > STANDSTILL)
      this.replace()
    if (this.ready !== undefined) await this.ready
    const { status } = this.connection
    if (status === 'ready') return
    const cause = this.trouble
    const message = `Redis can't be reached: ${cause?.message ?? `the connection is in state ${status}`}`
    throw new StoreError('ERR_STORE_AWAY', message, { cause })
  }

  /** Rejects with the client's own errors: see `errorOf`. */
  command(name: string, words: readonly Word[]): Promise<unknown> {
    // Not as a list: the client would flatten it.
    return this.connection.callBuffer(name, ...words)
  }

  /**
   * Turns a client's error into ours. One that the server sent is certain, unless a script may have written before it;
   * a lost connection is not.
   */
  errorOf(error: unknown): StoreError {
    if (error instanceof Error && error.name === 'ReplyError') {
      const { message } = error
      const uncertain = IN_SCRIPT.test(message) && !BEFORE_WRITING.test(message)
      return new StoreError('ERR_STORE_REPLY', `Redis refused the command: ${message}`, {
        cause: error,
        uncertain,
      })
    }
    const cause = this.connection.status === 'ready' ? error : (this.trouble ?? error)
    const message = cause instanceof Error ? cause.message : String(cause)
    return new StoreError('ERR_STORE_AWAY', `Redis can't be reached: ${message}`, { cause, uncertain: true })
  }

  close(): void {
    this.connection.disconnect()
  }
}
