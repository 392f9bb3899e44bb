import { StoreError } from './errors.ts'
import type { Operation, Reply } from './store/store.ts'

/** Commands under way at once: fewer verbs than that leave at once, each in one of its own. */
const IN_FLIGHT = 4
/** Operations in one command: what is under way is less than a slow server does within the shortest of usual timeouts. */
const MOST = 250
/** Of logs: each costs as much as its log is long (6.5 ms at 20,000 entries), and with four to a command others were late behind them. */
const MOST_OF_LOGS = 1
/** More than that are not kept waiting: they come faster than the store answers. */
const MOST_WAITING = 100_000

/** What the store says of one operation. */
type Result = Reply['results'][number]

interface Verb {
  readonly operation: Operation
  resolve(result: Result): void
  reject(error: unknown): void
}

/**
 * Operations each of which somebody waits for: what is given back, charged, blocked, reset. Of thousands at once, as where
 * a server settles all its reservations, those that come while commands are under way share the next one: one by one they
 * would be late before they had left.
 */
export class Verbs {
  private waiting: Verb[] = []
  /** The first of them that has not left. */
  private next = 0
  private readonly most: number
  private underWay = 0
  private isSending = false

  /**
   * @param isLog they are of logs
   * @param ask sends a command, and calls one of both back
   */
  constructor(
    isLog: boolean,
    private readonly ask: (
      operations: readonly Operation[],
      answered: (reply: Reply) => void,
      failed: (error: unknown) => void,
    ) => void,
  ) {
    this.most = isLog ? MOST_OF_LOGS : MOST
  }

  private get areWaiting(): number {
    return this.waiting.length - this.next
  }

  /** @throws StoreError where no answer came, the store is away, or too many wait */
  carryOut(operation: Operation): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.areWaiting >= MOST_WAITING)
        throw new StoreError(
          'ERR_STORE_TIMEOUT',
          `${MOST_WAITING} refunds, penalties, blocks and resets wait for the store already: it answers more slowly than they come`,
        )
      this.waiting.push({ operation, resolve, reject })
      this.sendWaiting()
    })
  }

  /** Nothing more will be asked: what waits leaves at once, before its store may be closed. */
  close(): void {
    while (this.areWaiting > 0) this.send()
  }

  private sendWaiting(): void {
    // Where the store is away a command ends while it is sent.
    if (this.isSending) return
    this.isSending = true
    while (this.underWay < IN_FLIGHT && this.areWaiting > 0) this.send()
    this.isSending = false
  }

  /** To take the first few off a long list would move the rest each time. */
  private takeNext(): Verb[] {
    const verbs = this.waiting.slice(this.next, this.next + this.most)
    this.next += verbs.length
    if (2 * this.next >= this.waiting.length) {
      this.waiting = this.waiting.slice(this.next)
      this.next = 0
    }
    return verbs
  }

  private send(): void {
    const verbs = this.takeNext()
    this.underWay++
    let isLeaving = true
    this.ask(
      verbs.map(({ operation }) => operation),
      ({ results }) => {
        this.ended()
        for (const [place, verb] of verbs.entries()) verb.resolve(results[place])
      },
      (error) => {
        this.ended()
        for (const verb of verbs) verb.reject(error)
        // The store is away: those behind it would not leave either, and one by one tens of thousands hold the event loop.
        if (isLeaving && error instanceof StoreError) this.rejectWaiting(error)
      },
    )
    isLeaving = false
  }

  private rejectWaiting(error: unknown): void {
    const verbs = this.waiting.slice(this.next)
    this.waiting = []
    this.next = 0
    for (const verb of verbs) verb.reject(error)
  }

  private ended(): void {
    this.underWay--
    this.sendWaiting()
  }
}
