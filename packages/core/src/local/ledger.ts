import type { Algorithm } from '../algorithms/algorithm.ts'
import { type Counters, NO_COUNTERS } from '../store/store.ts'

/** The entries of a ledger that has none. */
const NO_ENTRIES: number[] = []
Object.freeze(NO_ENTRIES)
/** The starts of a ledger all of whose quota may be spent. */
const NO_STARTS: readonly number[] = []

/** Cost that checks hold together, each until its other limits have decided, too. */
export class Holding {
  cost = 0
}

/** Quota booked before the limit was changed: it stays valid until its slice ends. */
export interface Lease {
  /** The limit in force, but as high as the one by which the quota was booked. */
  readonly limit: Algorithm
  /** What had been booked when the limit was changed. */
  readonly granted: number
}

/** What only few ledgers need. */
class Particulars {
  refunded = 0
  settledRefunded = 0
  /** Quota that the store has booked for this node, and how much of it will never be spent. */
  granted = 0
  returned = 0
  settledReturned = 0
  /** Booked quota of a log that may not be spent yet: store time, cost, time, cost…; and its sum. */
  starts: readonly number[] = NO_STARTS
  ahead = 0
  /** A log's admissions that the store may not have: time, cost, time, cost…. */
  entries: readonly number[] = NO_ENTRIES
  /**
   * How much of `admitted` is booked quota that was given up before its time, and the latest time at which it counts.
   */
  givenUp = 0
  givenUpAt = 0
  /** Store time of the newest admission: in a log, and elsewhere while that time is a guess; -1: none. */
  newest = -1
  holding: Holding | undefined = undefined
  lease: Lease | undefined = undefined
}

const NO_PARTICULARS = new Particulars()
Object.freeze(NO_PARTICULARS)

/** What this node counted of a key in one slice: counters that only rise, and how much of them the store has. */
export class Ledger {
  admitted = 0
  settledAdmitted = 0
  private particulars = NO_PARTICULARS

  /** `particulars`, to be changed. */
  private get own(): Particulars {
    if (this.particulars === NO_PARTICULARS) this.particulars = new Particulars()
    return this.particulars
  }

  get refunded(): number {
    return this.particulars.refunded
  }

  set refunded(cost: number) {
    if (cost !== this.refunded) this.own.refunded = cost
  }

  get settledRefunded(): number {
    return this.particulars.settledRefunded
  }

  set settledRefunded(cost: number) {
    if (cost !== this.settledRefunded) this.own.settledRefunded = cost
  }

  get granted(): number {
    return this.particulars.granted
  }

  set granted(quota: number) {
    if (quota !== this.granted) this.own.granted = quota
  }

  get returned(): number {
    return this.particulars.returned
  }

  set returned(quota: number) {
    if (quota !== this.returned) this.own.returned = quota
  }

  get settledReturned(): number {
    return this.particulars.settledReturned
  }

  set settledReturned(quota: number) {
    if (quota !== this.settledReturned) this.own.settledReturned = quota
  }

  get lease(): Lease | undefined {
    return this.particulars.lease
  }

  set lease(lease: Lease | undefined) {
    if (lease !== this.lease) this.own.lease = lease
  }

  /** Whether there is nothing to tell, and never was, but admitted cost. */
  get isPlain(): boolean {
    const { particulars } = this
    if (particulars === NO_PARTICULARS) return true
    return particulars.refunded + particulars.granted + particulars.returned + this.held === 0
  }

  /** Whether some booked quota may be spent, now or soon. */
  get isBooked(): boolean {
    return this.allowance > 0 || this.ahead > 0
  }

  /** Booked quota that may not be spent yet. */
  get ahead(): number {
    return this.particulars.ahead
  }

  /** Store time from which the last of it may be spent; 0: there is none. */
  get lastStart(): number {
    return this.particulars.starts.at(-2) ?? 0
  }

  /** Store time from which so much of what is booked may be spent; 0: so much is not booked. */
  startOf(cost: number): number {
    const { starts } = this.particulars
    let there = this.allowance
    for (let place = 0; place < starts.length; place += 2) {
      there += starts[place + 1] as number
      if (there >= cost) return starts[place] as number
    }
    return 0
  }

  /** Adds booked quota that may be spent from `starts` on. */
  await(starts: readonly number[]): void {
    if (starts.length === 0) return
    const all: [start: number, cost: number][] = []
    const { starts: before } = this.particulars
    for (const list of [before, starts])
      for (let place = 0; place < list.length; place += 2)
        all.push([list[place] as number, list[place + 1] as number])
    all.sort(([one], [other]) => one - other)
    this.own.starts = all.flat()
    this.own.ahead = all.reduce((sum, [, cost]) => sum + cost, 0)
  }

  /** Makes quota spendable whose start has come by `earliest`; returns how much. */
  ripen(earliest: number): number {
    const { starts } = this.particulars
    let ripe = 0
    let place = 0
    for (; place < starts.length; place += 2) {
      const start = starts[place] as number
      const isRipe = start <= earliest
      if (!isRipe) break
      ripe += starts[place + 1] as number
    }
    if (ripe > 0) {
      this.own.starts = starts.slice(place)
      this.own.ahead -= ripe
    }
    return ripe
  }

  /**
   * Gives up quota that may not be spent yet: it counts as admitted a window before its start, when what it was to
   * replace was admitted.
   */
  giveUpAhead(window: number): void {
    const { starts } = this.particulars
    for (let place = 0; place < starts.length; place += 2) {
      const start = starts[place] as number
      const cost = starts[place + 1] as number
      this.admitted += cost
      this.note(start - window, cost)
      this.own.givenUp += cost
      this.own.givenUpAt = Math.max(this.particulars.givenUpAt, start - window)
    }
    this.forgetAhead()
  }

  /** Forgets the start times of booked quota: once its slice is over, they no longer matter. */
  forgetAhead(): void {
    if (this.ahead === 0) return
    this.own.starts = NO_STARTS
    this.own.ahead = 0
  }

  get entries(): readonly number[] {
    return this.particulars.entries
  }

  set entries(entries: readonly number[]) {
    if (entries !== this.entries) this.own.entries = entries
  }

  get newest(): number {
    return this.particulars.newest
  }

  set newest(time: number) {
    if (time !== this.newest) this.own.newest = time
  }

  /** Cost that is held: neither admitted, nor available to other checks. */
  get held(): number {
    return this.particulars.holding?.cost ?? 0
  }

  /** Holds cost; returns the holding that it is part of. */
  hold(cost: number): Holding {
    const { own } = this
    own.holding ??= new Holding()
    own.holding.cost += cost
    return own.holding
  }

  /** Releases cost of this holding; false if the holding was dropped meanwhile. */
  release(holding: Holding, cost: number): boolean {
    if (this.particulars.holding !== holding) return false
    holding.cost -= cost
    return true
  }

  /** Drops all that is held; returns how much that was. */
  dropHeld(): number {
    const { held } = this
    if (held > 0) this.own.holding = undefined
    return held
  }

  get pending(): number {
    return this.admitted - this.settledAdmitted
  }

  get unsettledRefund(): number {
    return this.refunded - this.settledRefunded
  }

  /** How much of the booked quota may be spent now. */
  get allowance(): number {
    return Math.max(0, this.granted - this.returned - this.admitted - this.held - this.ahead)
  }

  /** Pending cost that was not booked. */
  get unbooked(): number {
    return Math.max(0, this.admitted - Math.max(this.settledAdmitted, this.granted - this.returned))
  }

  get owes(): boolean {
    return (
      this.admitted > this.settledAdmitted ||
      this.refunded > this.settledRefunded ||
      this.returned > this.settledReturned
    )
  }

  get counters(): Counters {
    if (this === NOTHING) return NO_COUNTERS
    return [this.admitted, this.refunded, this.granted, this.returned]
  }

  /**
   * The store has lost a log's admissions. Of them, and of what was given up, only the newest time is kept: they go by
   * that, so that none counts as older than it is.
   */
  lose(): void {
    const { givenUp, givenUpAt } = this.particulars
    const admitted = this.admitted - givenUp
    // What was given up comes first: if the store turns out to have some of this, that need not be told again.
    this.entries = [
      ...(givenUp > 0 ? [givenUpAt, givenUp] : []),
      ...(admitted > 0 ? [this.newest, admitted] : []),
    ]
  }

  /** Gives booked quota back: from now on it can't be spent. */
  giveBack(quota: number): void {
    if (quota > 0) this.returned += quota
  }

  /** Notes a log's admission at `now`. */
  note(now: number, cost: number): void {
    this.ownEntries.push(now, cost)
    this.newest = Math.max(this.newest, now)
  }

  /** Takes back what was noted just now. */
  unnote(): void {
    this.ownEntries.length -= 2
  }

  private get ownEntries(): number[] {
    if (this.entries === NO_ENTRIES) this.entries = []
    return this.entries as number[]
  }

  /** Moves the times of a log's admissions by `ms`. For other algorithms, nobody needs the times from here on. */
  shift(ms: number): void {
    if (this.entries.length > 0)
      this.entries = this.entries.map((number, place) => (place % 2 === 0 ? number + ms : number))
    this.newest = this.entries.length > 0 ? this.newest + ms : -1
  }

  /** Adds what was counted in `before`, which turns out to be the same slice; the store has none of it yet. */
  add(before: Ledger): void {
    this.admitted += before.admitted
    this.refunded += before.refunded
    if (before.entries.length > 0) this.entries = [...before.entries, ...this.entries]
    this.newest = Math.max(this.newest, before.newest)
  }

  /** Takes in what the store says it has: a reply that was overtaken may say less than is known. */
  settled(admitted: number, refunded: number, returned: number): void {
    this.settledAdmitted = Math.min(admitted, this.admitted)
    this.settledRefunded = Math.min(refunded, this.refunded)
    this.settledReturned = Math.min(returned, this.returned)
    if (this.newest >= 0) this.dropSettled()
  }

  private dropSettled(): void {
    const entries = this.ownEntries
    let known = 0
    for (let place = 1; place < entries.length; place += 2) known += entries[place] as number
    while (entries.length > 0 && known - (entries[1] as number) >= this.pending) {
      known -= entries[1] as number
      entries.splice(0, 2)
    }
    // The store had some of a log's entries and has lost them: they go by the newest time, so that none counts as older
    // than it is, whatever was given up since.
    if (known < this.pending) entries.unshift(this.newest, this.pending - known)
  }

  /** Goes on from where an earlier stay of the key in RAM left off. */
  resume(admitted: number, refunded: number, returned: number): void {
    this.admitted += admitted
    this.refunded += refunded
    this.returned += returned
  }
}

/** The ledger of a slice in which nothing was counted. */
export const NOTHING = new Ledger()
Object.freeze(NOTHING)

/** What a ledger owes at one moment, to be watched until it is settled or its slice is over. */
export class Debt {
  private readonly admitted: number
  private readonly refunded: number
  private readonly returned: number

  constructor(private readonly ledger: Ledger) {
    this.admitted = ledger.admitted
    this.refunded = ledger.refunded
    this.returned = ledger.returned
  }

  isPaid(kept: readonly Ledger[]): boolean {
    const { ledger } = this
    if (!kept.includes(ledger)) return true
    return (
      // `admitted` may be less by now: what has drained is no longer owed.
      ledger.settledAdmitted >= Math.min(this.admitted, ledger.admitted) &&
      ledger.settledRefunded >= this.refunded &&
      ledger.settledReturned >= this.returned
    )
  }
}
