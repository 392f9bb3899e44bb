import type { Limit } from './algorithms/algorithm.ts'
import { AnswerTimer } from './answer-timer.ts'
import { type Clock, DRIFT } from './clock.ts'
import type { Receipt } from './decider.ts'
import { StoreError } from './errors.ts'
import type { JointTable, LimitInForce, Operation, Reply, Request, Table } from './store/store.ts'
import { Verbs } from './verbs.ts'

/**
 * How many commands in a row go unanswered before the store counts as away, over at least this fraction of the longest
 * that a check waits: a command that had hardly any time left tells nothing. A refused connection counts at once.
 */
const FAILURES = 3
const PATIENCE = 0.5
/** Milliseconds to the first probe of a store that is away; doubled up to the longest. */
const FIRST_PROBE = 100
const LONGEST_PROBE = 5000

/** What a command asks besides its operations. */
export interface Extras {
  /** See `Request`. */
  readonly since?: number
  readonly presence?: number
  readonly extra?: number
  /** The operations must not be carried out twice. */
  readonly once?: boolean
  /** No two operations are of one key. */
  readonly distinct?: boolean
  /** Sets the limit for all nodes. */
  readonly limit?: LimitInForce
}

const NO_EXTRAS: Extras = {}
const ONCE: Extras = { once: true }

/** A node's way to its table: deadlines, and a circuit breaker that stops calling a dead store and probes it. */
export class Link {
  calls = 0
  entries = 0
  private ownNode: string | undefined
  /** The limit in force, as far as it is known. */
  private inForce: LimitInForce = []
  private sequence = 0
  private failures = 0
  /** Monotonic time at which the first of the unanswered commands in a row was sent. */
  private failingSince = 0
  private isAway = false
  /** No command leaves any more. */
  hasEnded = false
  /** A command asks whether the store is back. */
  private isProbing = false
  private probeAt = 0
  private probeAfter = FIRST_PROBE
  readonly answers: AnswerTimer
  private readonly verbs: Verbs
  /** The answer that puts the store's time latest for certain: the time it told, and when it came, monotonic. */
  private surely = { storeTime: -Infinity, at: 0 }

  constructor(
    readonly table: Table,
    private readonly clock: Clock,
    private readonly random: () => number,
    private readonly changed: (away: boolean) => void,
    /** The longest that a check waits, in milliseconds. */
    private readonly timeout: number,
    limit: Pick<Limit, 'algorithm' | 'window'>,
    /** Is told the numbers of a limit set while limiters run. Undefined: the node goes by its own. */
    private readonly limitSet?: (parameters: readonly number[]) => void,
  ) {
    this.answers = new AnswerTimer(clock)
    this.verbs = new Verbs(limit, (operations, answered, failed) =>
      this.ask(operations, clock.monotonic() + timeout, ONCE, answered, failed),
    )
  }

  /**
   * The node's random 64-bit id. Drawn when it is first asked for: Cloudflare's workers give no random numbers while a
   * module loads, which may make limiters.
   */
  get node(): string {
    this.ownNode ??= Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex')
    return this.ownNode
  }

  /** The store is known to be away. */
  get away(): boolean {
    return this.isAway
  }

  /** The store is away, and it is not yet time to ask it again. */
  get barred(): boolean {
    return this.isAway && this.clock.monotonic() < this.probeAt
  }

  /**
   * The earliest that the store's time can be: a command was carried out before its answer came. Since then, no more
   * time counts than our monotonic clock says, less a thousandth, since clocks differ in speed.
   */
  get earliest(): number {
    return this.earliestAt(this.clock.monotonic())
  }

  private earliestAt(monotonic: number): number {
    const { storeTime, at } = this.surely
    return storeTime + (monotonic - at) * (1 - DRIFT)
  }

  /** Takes in the store's time. If it is earlier than it could be, the store's clock was put back, and is followed. */
  private hear(storeTime: number, sentAt: number): void {
    const at = this.clock.monotonic()
    if (storeTime >= this.earliestAt(at) || storeTime < Math.floor(this.earliestAt(sentAt)))
      this.surely = { storeTime, at }
  }

  /** Whole milliseconds until the store is asked again; at least 1. */
  get retryAfterMs(): number {
    return Math.max(1, Math.ceil(this.probeAt - this.clock.monotonic()))
  }

  /**
   * Sends the operations, and waits for the answer until `deadline` (monotonic).
   *
   * @throws StoreError where none came, or the store is away
   */
  exchange(operations: readonly Operation[], deadline: number, extras = NO_EXTRAS): Promise<Reply> {
    return new Promise((resolve, reject) => this.ask(operations, deadline, extras, resolve, reject))
  }

  /**
   * Has one operation carried out, once; many at a time share commands. A command's timeout starts when it leaves.
   *
   * @throws StoreError where no answer came, or the store is away
   */
  carryOut(operation: Operation): Promise<Reply['results'][number]> {
    return this.verbs.carryOut(operation)
  }

  /** Gives back what a check took of the key, summed with what else goes back; resolves once it has, or can't. */
  giveBack(key: string, cost: number, receipt: Receipt): Promise<void> {
    return this.verbs.giveBack(key, cost, receipt)
  }

  /** As `exchange`, but by callbacks, one of which is called: a check need not pay for a promise. */
  ask(
    operations: readonly Operation[],
    deadline: number,
    extras: Extras,
    answered: (reply: Reply) => void,
    failed: (error: unknown) => void,
  ): void {
    const sentAt = this.clock.monotonic()
    let answer: Promise<Reply>
    try {
      const request = this.request(operations, deadline, extras, sentAt)
      this.calls++
      answer = this.table.exchange(request)
    } catch (error) {
      failed(error)
      return
    }
    this.answers.wait(
      answer,
      deadline,
      sentAt,
      (reply) => {
        try {
          this.hear(reply.now, sentAt)
          this.answered(reply)
        } catch (error) {
          failed(error)
          return
        }
        answered(reply)
      },
      (error) => {
        this.unanswered(error, sentAt)
        failed(error)
      },
    )
  }

  /** @throws StoreError if the store is away and it is not yet time to ask it again, or if nothing is asked any more */
  checkOpen(): void {
    if (this.hasEnded)
      throw new StoreError(
        'ERR_STORE_TIMEOUT',
        'the limiter closes, and the store was too slow for all that waited',
      )
    if (this.barred) throw new StoreError('ERR_STORE_AWAY', 'the store is away, and will be asked again soon')
  }

  /** @param now monotonic. @throws StoreError if the command need not leave */
  request(operations: readonly Operation[], deadline: number, extras: Extras, now: number): Request {
    this.checkOpen()
    const budget = deadline - now
    if (budget <= 0)
      throw new StoreError('ERR_STORE_TIMEOUT', 'no time was left to ask the store: raise `timeout`')
    // While the store is away, one command probes it, and the others are barred.
    if (this.isAway) {
      this.probeAt = now + this.probeAfter
      this.isProbing = true
    }
    this.entries += operations.length
    return {
      node: this.node,
      sequence: extras.once ? ++this.sequence : 0,
      deadline: this.table.known ? this.table.now() + Math.ceil(budget) : 0,
      until: deadline,
      since: extras.since ?? -1,
      presence: extras.presence ?? 0,
      extra: extras.extra ?? 0,
      operations,
      distinct: extras.distinct ?? false,
      limit: this.limitSet && (extras.limit ?? this.inForce),
    }
  }

  /** From here on no command leaves: whatever waits for one gets no answer. */
  end(): void {
    this.hasEnded = true
  }

  /** Nothing more will be asked. */
  close(): void {
    this.verbs.close()
    this.answers.close()
  }

  /** The store has answered. */
  answered({ limit }: Reply): void {
    this.succeeded()
    this.follow(limit)
  }

  private follow(limit: LimitInForce | undefined): void {
    if (limit === undefined || limit === this.inForce) return
    const [revision = 0, ...parameters] = limit
    if (revision <= (this.inForce[0] ?? 0)) return
    this.inForce = limit
    this.limitSet?.(parameters)
  }

  /** Another table of the store answers again: if this one is away, it is asked at once whether it does, too. */
  probe(): void {
    if (!this.isAway || this.isProbing) return
    const now = this.clock.monotonic()
    this.probeAfter = FIRST_PROBE
    this.probeAt = now
    // Whatever the outcome, the link has noted it.
    this.exchange([], now + this.timeout).catch(() => {})
  }

  private succeeded(): void {
    this.failures = 0
    this.isProbing = false
    this.probeAfter = FIRST_PROBE
    if (!this.isAway) return
    this.isAway = false
    this.changed(false)
  }

  /**
   * The store has not answered, or has refused, which shows that it is there. @param sentAt monotonic time at which the
   * command left
   */
  unanswered(error: unknown, sentAt: number): void {
    if (error instanceof StoreError) this.failed(error, sentAt)
    else this.isProbing = false
  }

  /** The store has not answered. @param sentAt monotonic time at which the command left */
  failed(error: StoreError, sentAt: number): void {
    const now = this.clock.monotonic()
    if (this.failures++ === 0) this.failingSince = sentAt
    if (this.isAway) {
      // This command was in flight when the outage was noticed.
      if (!this.isProbing) return
    } else if (error.code !== 'ERR_STORE_AWAY') {
      if (this.failures < FAILURES || now - this.failingSince < PATIENCE * this.timeout) return
    }
    this.isProbing = false
    this.probeAt = now + this.probeAfter * (0.5 + 0.5 * this.random())
    this.probeAfter = Math.min(2 * this.probeAfter, LONGEST_PROBE)
    if (this.isAway) return
    this.isAway = true
    this.changed(true)
  }
}

/**
 * As a link's `exchange`, for takes, or peeks, of several tables at once.
 *
 * @param operations for each link
 * @param once they must not be carried out twice
 * @throws StoreError where no answer came, or the store is away
 */
export async function exchangeJointly(
  links: readonly [Link, ...Link[]],
  joint: JointTable,
  clock: Clock,
  operations: readonly (readonly Operation[])[],
  deadline: number,
  reserve: boolean,
  once = true,
): Promise<readonly Reply[]> {
  // First for all: if one is barred, none counts as probed.
  for (const link of links) link.checkOpen()
  const sentAt = clock.monotonic()
  const requests = links.map((link, at) =>
    link.request(operations[at] as readonly Operation[], deadline, { once }, sentAt),
  )
  links[0].calls++
  const answer = joint.exchange(requests, reserve)
  return new Promise((resolve, reject) =>
    links[0].answers.wait(
      answer,
      deadline,
      sentAt,
      (replies) => {
        try {
          for (const [at, link] of links.entries()) link.answered(replies[at] as Reply)
        } catch (error) {
          reject(error)
          return
        }
        resolve(replies)
      },
      (error) => {
        for (const link of links) link.unanswered(error, sentAt)
        reject(error)
      },
    ),
  )
}
