import type { Algorithm } from '../algorithms/algorithm.ts'
import type { Operation, Snapshot } from '../store/store.ts'

/** What this node admitted and gave back in one slice: counters that only rise, and what of them the store has. */
class Ledger {
  admitted = 0
  refunded = 0
  settledAdmitted = 0
  settledRefunded = 0
  /** A log's admissions that the store may not have: time, cost, time, cost…. */
  entries: number[] = []

  get pending(): number {
    return this.admitted - this.settledAdmitted
  }

  get owes(): boolean {
    return this.admitted > this.settledAdmitted || this.refunded > this.settledRefunded
  }

  settled(admitted: number, refunded: number): void {
    this.settledAdmitted = Math.min(admitted, this.admitted)
    this.settledRefunded = Math.min(refunded, this.refunded)
    let known = 0
    for (let place = 1; place < this.entries.length; place += 2) known += this.entries[place] as number
    while (this.entries.length > 0 && known - (this.entries[1] as number) >= this.pending) {
      known -= this.entries[1] as number
      this.entries.splice(0, 2)
    }
  }
}

/** A key as a soft node holds it: the store's last state with what is pending added, and what the node owes. */
export class LocalKey {
  state: unknown
  generation = 0
  blockedUntil = 0
  /** Whether the store has answered for this key. */
  known = false
  /** Whether the store has acknowledged something of this key. */
  settledOnce = false
  queued = false
  inFlight = false
  /** What the store has may differ from what is known here: to be read again, though nothing may be owed. */
  stale = false
  /** Checks that wait for the first answer. */
  waiting: ((error: unknown) => void)[] | undefined
  slice = 0
  current = new Ledger()
  late = new Ledger()

  constructor(
    readonly key: string,
    readonly limit: Algorithm,
    /** Store time less monotonic time, if that was only a guess at its making. */
    readonly guessedOffset: number | undefined,
  ) {
    this.state = limit.create()
  }

  get pending(): number {
    return this.current.pending + this.late.pending
  }

  get owes(): boolean {
    return this.current.owes || this.late.owes
  }

  /** Whether a check would be denied now. */
  denies(now: number): boolean {
    return this.blockedUntil > now || this.limit.usage(this.state, now) >= this.limit.limit
  }

  /** What is owed now, to be watched until it is settled or its window is over. */
  debts(): Debt[] {
    return [this.late, this.current].filter((ledger) => ledger.owes).map((ledger) => new Debt(this, ledger))
  }

  /** Notes a cost that was admitted at `now`; returns the cost that can no longer be settled. */
  admitted(now: number, cost: number): number {
    const expired = this.roll(Math.floor(now / this.limit.window))
    this.current.admitted += cost
    if (this.limit.algorithm === 'sliding-log') this.current.entries.push(now, cost)
    return expired
  }

  /** Gives cost back, and notes it; returns what expired. */
  refund(now: number, cost: number): number {
    const expired = this.roll(Math.floor(now / this.limit.window))
    this.current.refunded += this.limit.refund(this.state, now, 0, cost)
    return expired
  }

  private roll(slice: number): number {
    if (slice <= this.slice) return 0
    const kept = this.limit.lateSlices === 1 && slice === this.slice + 1
    const expired = this.late.pending + (kept ? 0 : this.current.pending)
    this.late = kept ? this.current : new Ledger()
    this.current = new Ledger()
    this.slice = slice
    return expired
  }

  /** What to ask the store about this key. */
  operation(): Operation {
    if (!this.known) return ['read', this.key]
    const { current, late } = this
    const operation = [
      'settle',
      this.key,
      this.generation,
      this.slice,
      current.admitted,
      current.refunded,
      late.admitted,
      late.refunded,
    ] as const
    return this.limit.algorithm === 'sliding-log' ? [...operation, current.entries, late.entries] : operation
  }

  /** Takes in the store's answer; what is pending stays so until the store itself says that it has it. */
  reconcile(snapshot: Snapshot, now: number, monotonic: number): number {
    if (this.guessedOffset !== undefined && !this.known)
      this.slice += snapshot.slice - Math.floor((this.guessedOffset + monotonic) / this.limit.window)
    if (snapshot.generation > this.generation) {
      this.generation = snapshot.generation
      // What an unknown key owes was admitted after it was taken into RAM: no reset that it slept through undoes that.
      if (this.known) {
        this.current = new Ledger()
        this.late = new Ledger()
      }
    }
    const expired = this.roll(snapshot.slice)
    const ahead = this.slice - snapshot.slice
    if (!this.known) {
      // What an earlier stay of this key in RAM has settled is where its counters go on from.
      const ledger = ahead === 0 ? this.current : this.late
      ledger.admitted += snapshot.admitted
      ledger.refunded += snapshot.refunded
      if (ahead === 0) {
        this.late.admitted += snapshot.lateAdmitted
        this.late.refunded += snapshot.lateRefunded
      }
      this.known = true
    }
    if (ahead === 0) {
      this.current.settled(snapshot.admitted, snapshot.refunded)
      this.late.settled(snapshot.lateAdmitted, snapshot.lateRefunded)
    } else if (ahead === 1) {
      this.late.settled(snapshot.admitted, snapshot.refunded)
    }
    this.settledOnce ||= snapshot.admitted > 0 || snapshot.lateAdmitted > 0
    this.blockedUntil = snapshot.blockedUntil
    this.limit.load(this.state, snapshot)
    this.settlePending(this.late, 1, now)
    this.settlePending(this.current, 0, now)
    return expired
  }

  private settlePending(ledger: Ledger, behind: number, now: number): void {
    if (behind > this.limit.lateSlices || !ledger.owes) return
    const log = this.limit.algorithm === 'sliding-log'
    if (ledger.pending > 0)
      this.limit.settle(this.state, now, behind, ledger.pending, log ? ledger.entries : undefined)
    const back = ledger.refunded - ledger.settledRefunded
    if (back > 0) this.limit.refund(this.state, now, behind, back)
  }
}

class Debt {
  private readonly admitted: number
  private readonly refunded: number

  constructor(
    readonly key: LocalKey,
    private readonly ledger: Ledger,
  ) {
    this.admitted = ledger.admitted
    this.refunded = ledger.refunded
  }

  get paid(): boolean {
    const { key, ledger } = this
    if (ledger !== key.current && ledger !== key.late) return true
    return ledger.settledAdmitted >= this.admitted && ledger.settledRefunded >= this.refunded
  }
}
