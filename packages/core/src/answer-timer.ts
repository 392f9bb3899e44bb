import type { Clock, Timer } from './clock.ts'
import { StoreError } from './errors.ts'

/** An answer that is waited for. */
class Wait {
  /** Its index among the waits; below 0: it is over. */
  place = -1

  constructor(
    /** Monotonic. */
    readonly deadline: number,
    readonly budget: number,
    readonly failed: (error: unknown) => void,
  ) {}
}

/**
 * Ends the wait for answers at their deadlines, with one timer for all: nearly every answer comes long before, and the
 * timer stays for those that follow.
 */
export class AnswerTimer {
  private readonly waits: Wait[] = []
  private timer: Timer
  private firesAt = Infinity
  private isClosing = false

  constructor(private readonly clock: Clock) {}

  /**
   * Calls one of the two back, once: with the answer, or with why there is none. An answer after the deadline is told
   * to nobody.
   *
   * @param deadline monotonic
   * @param now monotonic
   */
  wait<T>(
    answer: Promise<T>,
    deadline: number,
    now: number,
    answered: (answer: T) => void,
    failed: (error: unknown) => void,
  ): void {
    const wait = new Wait(deadline, deadline - now, failed)
    wait.place = this.waits.push(wait) - 1
    if (deadline < this.firesAt) this.arm(deadline, now)
    answer.then(
      (its) => {
        if (this.ends(wait)) answered(its)
      },
      (error: unknown) => {
        if (this.ends(wait)) failed(error)
      },
    )
  }

  /** Ends the wait; returns whether it still went on. */
  private ends(wait: Wait): boolean {
    const { place } = wait
    if (place < 0) return false
    wait.place = -1
    const last = this.waits.pop() as Wait
    if (last !== wait) {
      this.waits[place] = last
      last.place = place
    }
    if (this.isClosing) this.clear()
    return true
  }

  private arm(at: number, now: number): void {
    if (this.firesAt < Infinity) this.clock.clearTimer(this.timer)
    this.firesAt = at
    this.timer = this.clock.setTimer(this.fire, Math.max(0, at - now))
  }

  private readonly fire = () => {
    this.firesAt = Infinity
    const now = this.clock.monotonic()
    let next = Infinity
    for (const { deadline } of this.waits) if (deadline > now && deadline < next) next = deadline
    if (next < Infinity) this.arm(next, now)
    for (const wait of this.waits.filter(({ deadline }) => deadline <= now)) {
      const message = `the store did not answer within ${Math.ceil(wait.budget)} ms`
      if (this.ends(wait)) wait.failed(new StoreError('ERR_STORE_TIMEOUT', message, { uncertain: true }))
    }
  }

  /** Nothing more will be waited for: the timer is cleared with the last wait. */
  close(): void {
    this.isClosing = true
    this.clear()
  }

  private clear(): void {
    if (this.firesAt === Infinity || this.waits.length > 0) return
    this.clock.clearTimer(this.timer)
    this.firesAt = Infinity
  }
}
