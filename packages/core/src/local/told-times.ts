import type { LimitSettings } from '../options.ts'
import type { LocalKey } from './local-key.ts'
import { isAlone, type Outlook } from './outlook.ts'

/** A node that is alone asks so often in a row, though the store books less than seems free here: clocks differ. */
export const MOST_FRUITLESS = 3
/** A node that is alone also asks whenever the limit divided by this has been freed. */
const MOST_PARTS = 20

/** When to tell refused checks to come again, and that who comes then is admitted, as long as no other node asks. */
export class ToldTimes {
  constructor(
    private readonly settings: LimitSettings,
    private readonly outlook: Outlook,
  ) {}

  /** A node is about to ask for what a check needs. What is due by then has been kept. */
  use({ ownPace }: LocalKey, monotonic: number): void {
    const { promisedAt, promisedNext } = ownPace
    if (monotonic < promisedAt) return
    ownPace.promisedAt = promisedNext > monotonic ? promisedNext : Infinity
    ownPace.promisedNext = Infinity
  }

  /** Whether a node that is alone may ask again, as time has freed enough. */
  hasMore(key: LocalKey, now: number): boolean {
    if (!isAlone(key.pace) || this.isFruitless(key)) return false
    return this.outlook.free(key, now) >= this.settings.limit.limit / MOST_PARTS
  }

  /** Whether the store has booked less than seemed free so often that this node's clock can't be trusted. */
  private isFruitless({ pace: { asksFree, fruitless } }: LocalKey): boolean {
    return asksFree && fruitless >= MOST_FRUITLESS
  }

  /**
   * When to tell a refused check to come again, in milliseconds. A node that is alone asks then, whatever is settled
   * until then: not at once when time has freed the cost, but once it has freed more, or is no longer quiet.
   *
   * @param retryAfterMs until time has freed the cost
   * @param asks whether the node asks now: most likely in vain, and then not again for a while
   */
  promise(key: LocalKey, now: number, retryAfterMs: number, asks: boolean): number {
    const { quietUntil } = key.pace
    if (quietUntil === Infinity || !isAlone(key.pace)) return retryAfterMs
    const monotonic = this.settings.clock.monotonic()
    const quiet = asks ? this.outlook.pause : Math.ceil(quietUntil - monotonic)
    const told = Math.max(retryAfterMs, Math.min(quiet, this.untilMore(key, now)))
    if (told <= 0) return told
    const { ownPace } = key
    const { promisedAt, promisedNext } = ownPace
    // One that is due stays so until it is used: who was told of it may come somewhat later.
    if (promisedAt > monotonic) ownPace.promisedAt = Math.min(promisedAt, monotonic + told)
    else ownPace.promisedNext = Math.min(promisedNext > monotonic ? promisedNext : Infinity, monotonic + told)
    return told
  }

  /** Milliseconds until time has freed enough for `hasMore`. */
  private untilMore(key: LocalKey, now: number): number {
    if (this.isFruitless(key)) return Infinity
    const { limit } = this.settings
    const { allowance, ahead } = key.current
    const part = Math.min(limit.limit, Math.ceil(limit.limit / MOST_PARTS) + allowance + ahead)
    return limit.take(key.state, now, part, 'local', false).retryAfterMs
  }
}
