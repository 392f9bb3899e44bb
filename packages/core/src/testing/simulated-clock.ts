import type { Clock, Timer } from '../clock.ts'
import type { Event, EventQueue, Process } from './event-queue.ts'

/** How a node's clocks differ from the store's. */
export interface Skew {
  /** Milliseconds that the wall clock is ahead; default 0. */
  wall?: number
  /** The part by which both clocks run fast, such as 0.001, or slow, such as −0.001; default 0. */
  rate?: number
}

/** What all processes share. */
export interface World {
  /** Milliseconds since the simulation began. */
  readonly time: number
  /** Milliseconds since the Unix epoch at which it began. */
  readonly epoch: number
  readonly queue: EventQueue
}

/** Floating-point times that differ by less than this are equal. */
const SAME = 1e-6

class SimulatedTimer {
  event: Event | undefined = undefined

  constructor(
    readonly callback: () => void,
    /** Monotonic. */
    readonly due: number,
  ) {}
}

/** A node's clocks, which may be wrong; timers go by the monotonic one, in whole milliseconds as in Node. */
export class SimulatedClock implements Clock {
  private readonly began: number
  private readonly speed: number
  private readonly ahead: number
  private stood = 0

  constructor(
    private readonly world: World,
    private readonly process: Process,
    skew: Skew,
    /** What the monotonic clock shows now. */
    private readonly base: number,
  ) {
    this.began = world.time
    this.speed = 1 + (skew.rate ?? 0)
    this.ahead = skew.wall ?? 0
  }

  wall(): number {
    const { epoch, time } = this.world
    return Math.floor(epoch + this.ahead + time * this.speed)
  }

  monotonic(): number {
    return this.base + (this.world.time - this.began - this.stood) * this.speed
  }

  /** The monotonic clock stood still for `ms` that passed elsewhere, as that of a suspended machine. */
  stoodStill(ms: number): void {
    this.stood += ms
  }

  setTimer(callback: () => void, ms: number): Timer {
    const timer = new SimulatedTimer(callback, this.monotonic() + Math.max(1, Math.ceil(ms)))
    this.plan(timer)
    return timer
  }

  private plan(timer: SimulatedTimer): void {
    const at = this.world.time + (timer.due - this.monotonic()) / this.speed
    timer.event = this.world.queue.plan(at, () => this.fire(timer), this.process, true)
  }

  private fire(timer: SimulatedTimer): void {
    if (this.monotonic() < timer.due - SAME) this.plan(timer)
    else timer.callback()
  }

  clearTimer(timer: Timer): void {
    const { event } = timer as SimulatedTimer
    if (event !== undefined) event.cancelled = true
  }
}
