import { ConfigError, show } from './errors.ts'

/** A timer's handle, as its clock made it. */
export type Timer = unknown

/**
 * Time and timers. Everything in Spillway that needs either asks a clock, so that tests and the simulator
 * can run hours in milliseconds.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump, and may be wrong by hours. */
  wall(): number
  /** Milliseconds since some moment, with a fraction; never steps back. */
  monotonic(): number
  /**
   * Calls back once this turn of the event loop is over. For a clock whose reading costs as much as a decision: until
   * then, the checks of a burst may share a reading. Without it, each check reads the clock, and long work is done at
   * once.
   */
  afterTurn?(callback: () => void): void
  /** Calls back once, after `ms` milliseconds. Does not hold the process open. */
  setTimer(callback: () => void, ms: number): Timer
  /** Forgets a timer; nothing happens if it has fired. */
  clearTimer(timer: Timer): void
}

/** @throws ConfigError `ERR_OPTION` where it is none */
export function checkClock(clock: unknown): asserts clock is Clock {
  const { wall, monotonic, setTimer, clearTimer } = (clock ?? {}) as Partial<Clock>
  if ([wall, monotonic, setTimer, clearTimer].every((part) => typeof part === 'function')) return
  throw new ConfigError(
    'ERR_OPTION',
    `clock is ${show(clock)}: give an object with wall, monotonic, setTimer and clearTimer, or leave it out`,
  )
}

/** Resolves once this turn of the event loop is over; at once by a clock that can't tell. */
export function turnOver(clock: Clock): Promise<void> | undefined {
  return clock.afterTurn && new Promise((resolve) => clock.afterTurn?.(resolve))
}

/** How much the speeds of two clocks may differ. */
export const DRIFT = 0.001

/** The longest delay that Node's timers hold; a longer one would fire at once. */
const LONGEST_DELAY = 2 ** 31 - 1
/** A timer that fires so many milliseconds late tells that the process was blocked. */
const LATE = 10

/** Holds longer delays than Node's; fires only after what arrived while the process was blocked has been read. */
class LongTimer {
  private handle: NodeJS.Timeout
  private due = 0
  private reading: NodeJS.Immediate | undefined

  constructor(
    private readonly callback: () => void,
    private left: number,
  ) {
    this.handle = this.arm()
  }

  private arm(): NodeJS.Timeout {
    const delay = Math.min(this.left, LONGEST_DELAY)
    this.left -= delay
    this.due = performance.now() + delay
    return setTimeout(() => {
      if (this.left > 0) this.handle = this.arm()
      // Node runs due timers before it reads from sockets: a deadline would overtake an answer that came in time. Not
      // unref'd: such an immediate waits until something else wakes the event loop.
      else if (performance.now() - this.due > LATE) this.reading = setImmediate(this.callback)
      else this.callback()
    }, delay).unref()
  }

  clear(): void {
    clearTimeout(this.handle)
    if (this.reading !== undefined) clearImmediate(this.reading)
  }
}

/** The machine's own clock; timers are unref'd. */
export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  afterTurn: (callback) => void setImmediate(callback),
  setTimer: (callback, ms) => new LongTimer(callback, Math.ceil(ms)),
  clearTimer: (timer) => (timer as LongTimer).clear(),
}
