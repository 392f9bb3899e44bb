import type { Algorithm } from '../algorithms/algorithm.ts'
import type { Clock } from '../clock.ts'
import { othersIn, type Receipt } from '../decider.ts'
import { type Decision, sameDecision } from '../decision.ts'
import type { Extras, Link } from '../link.ts'
import { NOTHING_GIVEN, type Operation, type Reply } from '../store/store.ts'
import { KeyPlaces } from './key-places.ts'

/** Commands with takes in flight at once; checks that arrive meanwhile wait, and travel together. */
const IN_FLIGHT = 2

/**
 * This many keys go in two halves if no other command is in flight: the store decides one while the other is answered.
 */
const WORTH_HALVING = 48

/**
 * Taken now, as the fake timers of a user's tests replace it, and checks would wait for ever. Of the global `process`, since
 * an import of `node:process` reads all of its getters, which takes as long as an eighth of a start.
 */
const { nextTick } = process

/** When the store answered, its marker, and what was booked or given back by then: what a refund goes by. */
export type Heard = Pick<Reply, 'now' | 'marker' | 'booked' | 'given'>

/** The receipt for what the store took. */
export function receiptOf(
  { now, marker, booked, given }: Heard,
  key: string,
  decision: Decision,
  cost: number,
  limit: Algorithm,
): Receipt {
  const beside = { booked: booked?.get(key) ?? 0, given: given?.get(key) ?? NOTHING_GIVEN, heard: now }
  const others = othersIn(decision, cost, beside, limit)
  return { at: now, marker, others }
}

/** A decision, and the answer that told it; undefined: not the store's. */
export interface Taken {
  readonly decision: Decision
  readonly heard: Heard | undefined
}

/** Makes a check's answer of a decision. @param heard set if it is the store's */
export type Told<T> = (decision: Decision, heard: Heard | undefined) => T

const noting: Told<Taken> = (decision, heard) => ({ decision, heard })

let resolveLast: (its: unknown) => void
let rejectLast: (error: unknown) => void
/** One for all promises: a check need not pay for a function of its own. */
const takeApart = (resolve: (its: never) => void, reject: (error: unknown) => void) => {
  resolveLast = resolve as (its: unknown) => void
  rejectLast = reject
}

/** A waiting check, linked to the next of the same key in its batch. */
class Take {
  next: Take | undefined = undefined
  /** For the first check of a key: the last one. */
  last: Take = this
  private readonly resolve = resolveLast
  readonly reject = rejectLast

  /** Belongs to the promise made last. */
  constructor(
    readonly key: string,
    readonly cost: number,
    private readonly told: Told<unknown>,
  ) {}

  /** @throws what `told` throws */
  answer(decision: Decision, heard: Heard | undefined): void {
    this.resolve(this.told(decision, heard))
  }

  /** With the checks after it. */
  get operation(): Operation {
    const operation: ['take', string, ...number[]] = ['take', this.key, this.cost]
    for (let take = this.next; take !== undefined; take = take.next) operation.push(take.cost)
    return operation
  }
}

/** What a queue asks of the store. */
export interface Asking {
  readonly what: 'take' | 'peek'
  readonly extras: Extras
  readonly mostKeys: number
  /** Commands under way at once. */
  readonly inFlight: number
}

/** Takes must not be carried out twice. */
export const TAKES: Asking = {
  what: 'take',
  extras: { once: true, distinct: true },
  mostKeys: 1000,
  inFlight: IN_FLIGHT,
}

const PEEKS: Asking = {
  what: 'peek',
  extras: { once: false, distinct: true },
  // The script has no short way for them.
  mostKeys: 250,
  // With two at once, far from the store, a burst's peeks came too late, and the store counted as away, for checks too.
  inFlight: 16,
}

/** Each may cost as much as its log has expired entries that no take has cut off. */
const PEEKS_OF_LOGS: Asking = { ...PEEKS, mostKeys: 10, inFlight: 50 }

/** How peeks at keys of these limits ask. */
export function peeksOf(...limits: readonly Algorithm[]): Asking {
  return limits.some(({ algorithm }) => algorithm === 'sliding-log') ? PEEKS_OF_LOGS : PEEKS
}

/** What one of a key's checks is told. Peeks are all told the same, each by an object of its own. */
export function toldTo(turn: number, decisions: readonly Decision[], { what }: Asking): Decision {
  if (what === 'take' || turn === 0) return decisions[turn] as Decision
  return sameDecision(decisions[0] as Decision)
}

class Batch {
  /** The first check of each key. */
  takes: Take[] = []

  /** @param deadline of its oldest check, monotonic */
  constructor(readonly deadline: number) {}

  /** @param places of its keys */
  add(take: Take, places: KeyPlaces): void {
    const { takes } = this
    const place = places.placeOf(take.key, takes)
    if (place < 0) {
      takes.push(take)
      return
    }
    const first = takes[place] as Take
    first.last.next = take
    first.last = take
  }

  /** Moves half of the keys into a batch of their own; nothing may be added to either. */
  half(): Batch {
    const half = new Batch(this.deadline)
    half.takes = this.takes.splice(0, this.takes.length >> 1)
    return half
  }
}

/** Checks that arrive while commands are in flight share the next one; those of one key are answered in order. */
export class TakeQueue {
  private open: Batch | undefined
  /** Of the open batch. */
  private readonly places = new KeyPlaces()
  /** Batches that wait for their turn: more than one only if all but the last are full. */
  private readonly waiting: Batch[] = []
  private underWay = 0
  /** An answer was handed out, and what its checks ask next may not have left yet. */
  private isAnswering = false
  /** Answers that came meanwhile, to be handed out. */
  private readonly held: (() => void)[] = []
  /** The callers of `idle` that wait. */
  private readonly idling: (() => void)[] = []

  constructor(
    private readonly link: Link,
    private readonly clock: Clock,
    private readonly timeout: number,
    /** Answers a check that the store did not answer, or throws. */
    private readonly unanswered: (error: unknown, key: string, cost: number) => Decision,
    private readonly asking = TAKES,
  ) {}

  /** @param told gets the decision; the promise resolves to what it returns */
  take<T>(key: string, cost: number, told: Told<T>): Promise<T> {
    const promise = new Promise<T>(takeApart)
    this.batch().add(new Take(key, cost, told), this.places)
    return promise
  }

  /** Resolves when every check that was begun has its answer. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve()
    return new Promise((resolve) => this.idling.push(resolve))
  }

  private get isIdle(): boolean {
    return this.underWay === 0 && this.waiting.length === 0
  }

  /** As `take`, so that it can be given back. */
  takeNoting(key: string, cost: number): Promise<Taken> {
    return this.take(key, cost, noting)
  }

  private batch(): Batch {
    if (this.open !== undefined && this.open.takes.length < this.asking.mostKeys) return this.open
    const batch = new Batch(this.clock.monotonic() + this.timeout)
    this.open = batch
    this.places.begin()
    this.waiting.push(batch)
    if (this.underWay < this.asking.inFlight) this.sendSoon()
    return batch
  }

  /** Sends once all resolved promises have gone on: what they check travels together. */
  private sendSoon(): void {
    nextTick(this.next)
  }

  private readonly next = () => {
    this.isAnswering = false
    this.sendWaiting()
    this.held.shift()?.()
  }

  private sendWaiting(): void {
    while (this.underWay < this.asking.inFlight) {
      const batch = this.waiting.shift()
      if (batch === undefined) return
      if (this.open === batch) this.open = undefined
      this.underWay++
      if (batch.takes.length >= WORTH_HALVING && this.underWay === 1) this.waiting.unshift(batch.half())
      this.send(batch)
    }
  }

  private send({ takes, deadline }: Batch): void {
    const { what, extras } = this.asking
    this.link.ask(
      takes.map((take): Operation => (what === 'take' ? take.operation : [what, take.key])),
      deadline,
      extras,
      (reply) => this.inTurn(() => this.answer(takes, reply)),
      (error) => {
        this.ended()
        for (const first of takes)
          for (let take: Take | undefined = first; take !== undefined; take = take.next)
            this.answerWithout(take, error)
      },
    )
  }

  /**
   * Hands out one answer at a time: what its checks ask next leaves before the next answer is handed out. So the store
   * works on one command while the other is answered; else both would leave and come back together from then on.
   */
  private inTurn(answer: () => void): void {
    if (!this.isAnswering) {
      answer()
      return
    }
    this.held.push(answer)
    this.sendSoon()
  }

  private answer(takes: readonly Take[], reply: Reply): void {
    this.isAnswering = true
    this.ended()
    const { results } = reply
    const { asking } = this
    for (let place = 0; place < takes.length; place++) {
      const decisions = results[place] as readonly Decision[]
      let turn = 0
      for (let take = takes[place]; take !== undefined; take = take.next)
        take.answer(toldTo(turn++, decisions, asking), reply)
    }
  }

  private ended(): void {
    this.underWay--
    if (this.waiting.length > 0) this.sendSoon()
    else if (this.isIdle) for (const idle of this.idling.splice(0)) idle()
  }

  private answerWithout(take: Take, error: unknown): void {
    try {
      take.answer(this.unanswered(error, take.key, take.cost), undefined)
    } catch (failure) {
      take.reject(failure)
    }
  }
}
