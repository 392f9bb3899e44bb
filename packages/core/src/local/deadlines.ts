import type { Clock } from '../clock.ts'
import type { LocalKey } from './local-key.ts'

/** Milliseconds that a command's own deadline gets first: it knows why there is no answer. */
const GRACE = 5
/** The least time between two looks, in milliseconds: each goes through all checks that wait. */
const LOOK = 10

interface Waiting {
  readonly key: LocalKey
  readonly deadline: number
}

/**
 * Answers waiting checks at their deadlines, whatever the store does. Most have been answered by then, by the command
 * that was in flight for them. The command of others may still wait for its turn, behind thousands of keys.
 */
export class Deadlines {
  private waiting: Waiting[] = []
  private isArmed = false

  /** @param expired is called with each key that checks have waited for until their deadline */
  constructor(
    private readonly clock: Clock,
    private readonly expired: (key: LocalKey) => void,
  ) {}

  /** @param deadline monotonic */
  add(key: LocalKey, deadline: number): void {
    this.waiting.push({ key, deadline })
    if (!this.isArmed) this.arm(deadline)
  }

  private arm(deadline: number): void {
    this.isArmed = true
    this.clock.setTimer(() => this.look(), Math.max(LOOK, deadline - this.clock.monotonic() + GRACE))
  }

  private look(): void {
    this.isArmed = false
    const now = this.clock.monotonic()
    const over = this.waiting.filter(({ deadline }) => deadline <= now)
    this.waiting = this.waiting.filter(({ key, deadline }) => deadline > now && key.waiting.length > 0)
    const first = this.waiting.reduce((least, { deadline }) => Math.min(least, deadline), Infinity)
    if (first < Infinity) this.arm(first)
    for (const key of new Set(over.map(({ key }) => key))) this.expired(key)
  }
}
