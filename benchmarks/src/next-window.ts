import { setTimeout as sleep } from 'node:timers/promises'

// A sliding window also weighs what was counted in the window before, which takes time. For there to be any, each key is
// counted once in a window that is about to end, and what is measured comes after its end.

/**
 * Two of them are less than 2^31 milliseconds: V8 keeps a longer time on the heap, as limits of minutes or days never make
 * it do.
 */
const LONGEST_MS = 12 * 86_400_000
/** How many milliseconds earlier or later than asked a window may begin. */
const TOLERANCE_MS = 20
/** How far the clock by which a limiter counts may be from ours, in milliseconds. */
const APART_MS = 200

/** A window's length, and when one of that length begins. */
export interface NextWindow {
  readonly length: number
  readonly begins: number
}

/**
 * The longest window that begins in about so many milliseconds: windows are counted from the Unix epoch, and take whole
 * milliseconds. It lasts for days: a count of one in the window before weighs one until its end, as it is rounded up.
 */
export function windowBeginningIn(delay: number, now = Date.now()): NextWindow {
  const due = now + delay
  for (let before = Math.ceil(due / LONGEST_MS); ; before++) {
    const length = Math.round(due / before)
    const begins = before * length
    if (length <= LONGEST_MS && Math.abs(begins - due) <= TOLERANCE_MS) return { length, begins }
  }
}

/**
 * A window that begins once this many keys have been counted. With much time to spare: beside nine processes that waited
 * for two cores, half a million keys took 15 s, and ten thousand up to 8.
 */
export function windowAfterCounting(keys: number): NextWindow {
  return windowBeginningIn(10_000 + 0.06 * keys)
}

/**
 * Waits until the window has begun.
 *
 * @throws Error if it has begun already: then some keys may not have been counted before
 */
export async function untilBegun({ begins }: NextWindow): Promise<void> {
  const left = begins - Date.now()
  if (left < APART_MS)
    throw new Error(`counting each key once took ${APART_MS - left} ms too long: is the machine too busy?`)
  await sleep(left + APART_MS)
}
