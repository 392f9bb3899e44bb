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
   * As `monotonic`, but what was read for one call may be given to the next ones of the same burst: a reading costs as
   * much as a decision. Not there: each call is a reading.
   */
  recent?(): number
  /** Calls back once, after `ms` milliseconds. Does not hold the process open. */
  setTimer(callback: () => void, ms: number): Timer
  /** Forgets a timer; nothing happens if it has fired. */
  clearTimer(timer: Timer): void
}

/** The longest delay that Node's timers hold; a longer one would fire at once. */
const LONGEST_DELAY = 2 ** 31 - 1
/** A timer that fires so many milliseconds late tells of a process that was blocked. */
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
      // Node runs timers that are due before it reads from sockets: a deadline would pass over an answer in time.
      else if (performance.now() - this.due > LATE) this.reading = setImmediate(this.callback).unref()
      else this.callback()
    }, delay).unref()
  }

  clear(): void {
    clearTimeout(this.handle)
    if (this.reading !== undefined) clearImmediate(this.reading)
  }
}

/** Calls that share a reading, of a burst whose calls come at most so many milliseconds apart. */
const BURST = 16
const APART = 0.05

/** Readings of the monotonic clock that a burst of calls shares, within one turn of the event loop. */
class SharedReading {
  private reading = -Infinity
  private left = 0
  private ending = false

  recent(): number {
    if (this.left > 0) this.left--
    else this.read()
    return this.reading
  }

  private read(): void {
    const now = performance.now()
    if (now - this.reading < APART) {
      this.left = BURST - 1
      if (!this.ending) {
        this.ending = true
        setImmediate(() => this.end())
      }
    }
    this.reading = now
  }

  private end(): void {
    this.ending = false
    this.left = 0
  }
}

const shared = new SharedReading()

/** The machine's own clock; timers are unref'd. */
export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  recent: () => shared.recent(),
  setTimer: (callback, ms) => new LongTimer(callback, Math.ceil(ms)),
  clearTimer: (timer) => (timer as LongTimer).clear(),
}
