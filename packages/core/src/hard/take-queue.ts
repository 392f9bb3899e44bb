import { nextTick } from 'node:process'
import type { Clock } from '../clock.ts'
import type { Decision } from '../decision.ts'
import type { Link } from '../link.ts'
import type { Operation, Reply } from '../store/store.ts'

/** Commands under way at once; what arrives meanwhile waits, and travels together. */
export const IN_FLIGHT = 2
export const MOST_KEYS = 1000

/** So many keys are sent in two halves where no other command is under way: the store decides one while the other's are answered. */
const WORTH_HALVING = 256

/** When the store said something, and by what marker: what is given back goes by it. */
export type Heard = Pick<Reply, 'now' | 'marker'>

/** A decision, and the answer that told of it; none: it is not the store's. */
export interface Taken {
  readonly decision: Decision
  readonly heard: Heard | undefined
}

interface Waiter {
  /** @param heard there, if it is the store's decision */
  resolve(decision: Decision, heard?: Heard): void
  reject(error: unknown): void
}

/** The checks of one key in a batch. */
class Takes {
  readonly operation: ['take', string, ...number[]]
  readonly waiters: Waiter[]

  constructor(key: string, cost: number, waiter: Waiter) {
    this.operation = ['take', key, cost]
    this.waiters = [waiter]
  }
}

const ONCE = { once: true }

class Batch {
  takes: Takes[] = []
  /** By key: there once there are two. */
  private places: Map<string, Takes> | undefined

  /** @param deadline of its oldest check, monotonic */
  constructor(readonly deadline: number) {}

  add(key: string, cost: number, waiter: Waiter): void {
    const takes = this.of(key)
    if (takes !== undefined) {
      takes.operation.push(cost)
      takes.waiters.push(waiter)
      return
    }
    const first = new Takes(key, cost, waiter)
    this.takes.push(first)
    this.places?.set(key, first)
  }

  private of(key: string): Takes | undefined {
    const [only] = this.takes
    if (only === undefined) return undefined
    if (this.places === undefined) {
      if (only.operation[1] === key) return only
      this.places = new Map([[only.operation[1], only]])
    }
    return this.places.get(key)
  }

  /** Takes half of the keys out, into a batch of their own; nothing is to be added to either. */
  half(): Batch {
    const half = new Batch(this.deadline)
    half.takes = this.takes.splice(0, this.takes.length >> 1)
    return half
  }
}

/** Checks that arrive while commands are under way share the next one; those of one key are answered in order. */
export class TakeQueue {
  private open: Batch | undefined
  /** Batches that wait for their turn: more than one only where each has as many keys as one may have. */
  private readonly waiting: Batch[] = []
  private underWay = 0

  constructor(
    private readonly link: Link,
    private readonly clock: Clock,
    private readonly timeout: number,
    /** What a check is answered that the store did not answer, or throws. */
    private readonly unanswered: (error: unknown, key: string, cost: number) => Decision,
  ) {}

  take(key: string, cost: number): Promise<Decision> {
    return new Promise((resolve, reject) => this.batch().add(key, cost, { resolve, reject }))
  }

  /** As `take`, so that it can be given back. */
  takeNoting(key: string, cost: number): Promise<Taken> {
    return new Promise((resolve, reject) => {
      const note = (decision: Decision, heard?: Heard) => resolve({ decision, heard })
      this.batch().add(key, cost, { resolve: note, reject })
    })
  }

  private batch(): Batch {
    if (this.open !== undefined && this.open.takes.length < MOST_KEYS) return this.open
    const batch = new Batch(this.clock.monotonic() + this.timeout)
    this.open = batch
    this.waiting.push(batch)
    if (this.underWay < IN_FLIGHT) this.sendSoon()
    return batch
  }

  /** Once all promises that are resolved have gone on: what they check travels together. */
  private sendSoon(): void {
    nextTick(this.next)
  }

  private readonly next = () => {
    while (this.underWay < IN_FLIGHT) {
      const batch = this.waiting.shift()
      if (batch === undefined) return
      if (this.open === batch) this.open = undefined
      this.underWay++
      if (batch.takes.length >= WORTH_HALVING && this.underWay === 1) this.waiting.unshift(batch.half())
      this.send(batch)
    }
  }

  private send(batch: Batch): void {
    const { takes, deadline } = batch
    const operations: Operation[] = takes.map(({ operation }) => operation)
    this.link.ask(
      operations,
      deadline,
      ONCE,
      (reply) => {
        this.ended()
        for (let place = 0; place < takes.length; place++) {
          const { waiters } = takes[place] as Takes
          const decisions = reply.results[place] as readonly Decision[]
          for (let turn = 0; turn < waiters.length; turn++)
            (waiters[turn] as Waiter).resolve(decisions[turn] as Decision, reply)
        }
      },
      (error) => {
        this.ended()
        for (const take of takes) this.answerWithout(take, error)
      },
    )
  }

  private ended(): void {
    this.underWay--
    if (this.waiting.length > 0) this.sendSoon()
  }

  private answerWithout({ operation: [, key, ...costs], waiters }: Takes, error: unknown): void {
    for (const [turn, waiter] of waiters.entries()) {
      try {
        waiter.resolve(this.unanswered(error, key, costs[turn] as number))
      } catch (failure) {
        waiter.reject(failure)
      }
    }
  }
}
