import type { Limit } from './algorithms/algorithm.ts'
import type { Receipt } from './decider.ts'
import { StoreError } from './errors.ts'
import { GiveBacks } from './give-backs.ts'
import { Line } from './line.ts'
import type { Operation, Reply } from './store/store.ts'

/** Commands in flight at once: fewer verbs than that leave at once, each in its own. */
const IN_FLIGHT = 4
/**
 * Operations in one command: those in flight together are fewer than a slow server does within the shortest usual
 * timeout.
 */
const MOST = 250
/**
 * For logs: an operation costs as much as its log is long (6.5 ms at 20,000 entries), and with four to a command others
 * were late behind them.
 */
const MOST_OF_LOGS = 1
/** More than that may not wait: they come faster than the store answers. */
const MOST_WAITING = 100_000

/** What the store says of one operation. */
type Result = Reply['results'][number]

export interface Verb {
  readonly operation: Operation
  resolve(result: Result): void
  reject(error: unknown): void
}

/**
 * Operations that somebody waits for: refunds, charges, blocks, resets. Of thousands at once, as when a server settles
 * all its reservations, those that come while commands are in flight share the next one: one by one they would be late
 * before they had left. They take turns with what goes back of checks, which nobody waits for.
 */
export class Verbs {
  private readonly waiting = new Line<Verb>()
  private readonly givingBack: GiveBacks
  /** Whose turn it is if both wait. */
  private isTurnOfGiveBacks = false
  private readonly most: number
  private underWay = 0
  private isSending = false

  /**
   * @param limit that they are of
   * @param ask sends a command, and calls one of the two back
   */
  constructor(
    limit: Pick<Limit, 'algorithm' | 'window'>,
    private readonly ask: (
      operations: readonly Operation[],
      answered: (reply: Reply) => void,
      failed: (error: unknown) => void,
    ) => void,
  ) {
    this.most = limit.algorithm === 'sliding-log' ? MOST_OF_LOGS : MOST
    this.givingBack = new GiveBacks(limit.window, MOST_WAITING)
  }

  /** @throws StoreError where no answer came, the store is away, or too many wait */
  carryOut(operation: Operation): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.waiting.length >= MOST_WAITING)
        throw new StoreError(
          'ERR_STORE_TIMEOUT',
          `${MOST_WAITING} refunds, penalties, blocks and resets wait for the store already: it answers more slowly than they come`,
        )
      // The operations of one key keep their order.
      for (const verb of this.givingBack.takeOf(operation[1])) this.waiting.push(verb)
      this.waiting.push({ operation, resolve, reject })
      this.sendWaiting()
    })
  }

  /** Gives back what a check took; resolves once it has, or can't. */
  giveBack(key: string, cost: number, receipt: Receipt): Promise<void> {
    const ended = this.givingBack.add(key, cost, receipt)
    this.sendWaiting()
    return ended
  }

  private get isIdle(): boolean {
    return this.waiting.length + this.givingBack.size === 0
  }

  /** Nothing more will be asked: what waits leaves at once, before its store may be closed. */
  close(): void {
    while (!this.isIdle) this.send()
  }

  private sendWaiting(): void {
    // If the store is away, a command ends while it is being sent.
    if (this.isSending) return
    this.isSending = true
    while (this.underWay < IN_FLIGHT && !this.isIdle) this.send()
    this.isSending = false
  }

  private takeNext(): Verb[] {
    const { most, waiting, givingBack } = this
    const back = givingBack.take(this.isTurnOfGiveBacks ? most : Math.max(0, most - waiting.length))
    const verbs: Verb[] = []
    while (verbs.length + back.length < most && waiting.length > 0) verbs.push(waiting.shift() as Verb)
    this.isTurnOfGiveBacks = back.length === 0
    return [...verbs, ...back]
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
        // The store is away: those that wait would not leave either, and one by one, tens of thousands would hold the
        // event loop.
        if (isLeaving && error instanceof StoreError) this.rejectWaiting(error)
      },
    )
    isLeaving = false
  }

  private rejectWaiting(error: unknown): void {
    const { waiting, givingBack } = this
    while (waiting.length > 0) (waiting.shift() as Verb).reject(error)
    for (const verb of givingBack.take(Infinity)) verb.reject(error)
  }

  private ended(): void {
    this.underWay--
    this.sendWaiting()
  }
}
