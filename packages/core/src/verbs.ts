import type { Operation, Reply } from './store/store.ts'

/** Commands under way at once: fewer verbs than that leave at once, each in one of its own. */
const IN_FLIGHT = 4
/** Operations in one command: what is under way is less than a slow server does within the shortest of usual timeouts. */
const MOST = 250

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
  private underWay = 0
  private isSending = false

  /** @param ask sends a command, and calls one of both back */
  constructor(
    private readonly ask: (
      operations: readonly Operation[],
      answered: (reply: Reply) => void,
      failed: (error: unknown) => void,
    ) => void,
  ) {}

  /** @throws StoreError where no answer came, or the store is away */
  carryOut(operation: Operation): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ operation, resolve, reject })
      this.sendWaiting()
    })
  }

  /** Nothing more will be asked: what waits leaves at once, before its store may be closed. */
  close(): void {
    while (this.waiting.length > 0) this.send()
  }

  private sendWaiting(): void {
    // Where the store is away a command ends while it is sent.
    if (this.isSending) return
    this.isSending = true
    while (this.underWay < IN_FLIGHT && this.waiting.length > 0) this.send()
    this.isSending = false
  }

  private send(): void {
    const verbs = this.waiting.splice(0, MOST)
    this.underWay++
    this.ask(
      verbs.map(({ operation }) => operation),
      ({ results }) => {
        this.ended()
        for (const [place, verb] of verbs.entries()) verb.resolve(results[place])
      },
      (error) => {
        this.ended()
        for (const verb of verbs) verb.reject(error)
      },
    )
  }

  private ended(): void {
    this.underWay--
    this.sendWaiting()
  }
}
