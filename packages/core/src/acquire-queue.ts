import type { Clock, Timer } from './clock.ts'
import type { Decision } from './decision.ts'
import { AcquireError, show } from './errors.ts'

/** A caller that waits for its turn. */
export interface Acquirer {
  readonly signal: AbortSignal | undefined
  /** Monotonic time past which it waits no longer. */
  readonly last: number
  /** Takes what it waits for, if that is allowed now. */
  take(): Promise<Decision>
  /** Gives back what it took and has no use for. */
  giveBack(): Promise<void>
}

class Line {
  /** Those that wait behind the first, in order. */
  readonly behind: (() => void)[] = []
  /** Ends the first one's wait. */
  wake: (() => void) | undefined
  /** The first was told to ask again, perhaps while it asked. */
  woken = false
}

/** Serves the callers that wait for a key in order: only the first asks. */
export class AcquireQueue {
  private readonly lines = new Map<string, Line>()

  constructor(
    private readonly clock: Clock,
    private readonly maxWaiting: number,
    /** Milliseconds after which the first asks again in any case: other nodes may have changed what it was told. */
    private readonly longest: number,
  ) {}

  /**
   * Waits until it is the first and is allowed, and then until its turn has come.
   *
   * @throws AcquireError `ERR_QUEUE_FULL`, `ERR_MAX_WAIT`, `ERR_NEVER`; the signal's reason on abort. Nothing was taken.
   */
  async acquire(key: string, acquirer: Acquirer): Promise<Decision> {
    const line = this.lines.get(key)
    if (line !== undefined) {
      if (line.behind.length + 1 >= this.maxWaiting) {
        throw new AcquireError(
          'ERR_QUEUE_FULL',
          `${line.behind.length + 1} wait for ${show(key)} already, as many as maxWaiting allows: try again later, or raise it`,
        )
      }
      await this.turn(key, line, acquirer)
    }
    const mine = line ?? new Line()
    this.lines.set(key, mine)
    let decision: Decision
    try {
      decision = await this.first(key, mine, acquirer)
    } finally {
      const next = mine.behind.shift()
      if (next === undefined) this.lines.delete(key)
      else next()
    }
    // Those behind it need not wait until its turn has come: each has its own.
    if (decision.delayMs > 0) await this.paced(decision.delayMs, acquirer)
    return decision
  }

  /** On abort, rejects only once what was taken has gone back: its limiter may be closed next. */
  private async paced(ms: number, acquirer: Acquirer): Promise<void> {
    const { signal } = acquirer
    await new Promise<void>((resolve, reject) => {
      const giveUp = (reason: unknown) => acquirer.giveBack().then(() => reject(reason), reject)
      if (signal?.aborted) {
        void giveUp(signal.reason)
        return
      }
      const end = () => {
        stop()
        resolve()
      }
      const stop = this.limited(signal, this.clock.monotonic() + ms, end, giveUp)
    })
  }

  private turn(key: string, line: Line, { signal, last }: Acquirer): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (reason: unknown) => {
        line.behind.splice(line.behind.indexOf(come), 1)
        stop()
        reject(reason)
      }
      const stop = this.limited(signal, last, () => leave(tooLate(key)), leave)
      const come = () => {
        stop()
        resolve()
      }
      line.behind.push(come)
    })
  }

  /** Asks, and waits as long as it is told, until it is allowed. */
  private async first(key: string, line: Line, acquirer: Acquirer): Promise<Decision> {
    const { signal, last } = acquirer
    for (;;) {
      signal?.throwIfAborted()
      line.woken = false
      const decision = await acquirer.take()
      const { allowed, delayMs, retryAfterMs, limit, reason } = decision
      const isLate = allowed && this.clock.monotonic() + delayMs > last
      if (allowed && (isLate || signal?.aborted)) await acquirer.giveBack()
      signal?.throwIfAborted()
      if (isLate) throw tooLate(key, delayMs)
      if (allowed) return decision
      if (retryAfterMs === Infinity) {
        throw new AcquireError(
          'ERR_NEVER',
          reason === 'cost'
            ? `the cost is above the limit of ${limit}: ask for less`
            : `${show(key)} is denied for good: take it off the deny list`,
        )
      }
      if (this.clock.monotonic() + retryAfterMs > last) throw tooLate(key, retryAfterMs)
      if (!line.woken) await this.pause(Math.min(retryAfterMs, this.longest), signal, line)
    }
  }

  /** @throws the signal's reason on abort */
  private async pause(ms: number, signal: AbortSignal | undefined, line: Line): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const end = () => {
        stop()
        line.wake = undefined
        resolve()
      }
      const stop = this.limited(signal, this.clock.monotonic() + ms, end, reject)
      line.wake = end
    })
  }

  /** Calls `late` at `last`, or `aborted` on abort, whichever comes first; returns how to stop that. */
  private limited(
    signal: AbortSignal | undefined,
    last: number,
    late: () => void,
    aborted: (reason: unknown) => void,
  ): () => void {
    let timer: Timer | undefined
    const stop = () => {
      if (timer !== undefined) this.clock.clearTimer(timer)
      signal?.removeEventListener('abort', abort)
    }
    const abort = () => {
      stop()
      aborted(signal?.reason)
    }
    if (last < Infinity) timer = this.clock.setTimer(late, Math.max(0, last - this.clock.monotonic()))
    signal?.addEventListener('abort', abort, { once: true })
    return stop
  }

  /** The key may be allowed sooner than was said: its first caller asks again. */
  wake(key: string): void {
    const line = this.lines.get(key)
    if (line === undefined) return
    line.woken = true
    line.wake?.()
  }

  wakeAll(): void {
    for (const key of this.lines.keys()) this.wake(key)
  }
}

function tooLate(key: string, ms?: number): AcquireError {
  let wait = 'others are before it'
  if (ms === 0) wait = 'the store took longer than that to answer'
  else if (ms !== undefined) wait = `it would have to wait ${ms} ms`
  return new AcquireError('ERR_MAX_WAIT', `${show(key)} can't be acquired within maxWait: ${wait}`)
}
