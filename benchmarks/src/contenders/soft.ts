import { createLimiter, type Limit, slidingWindow } from '@spillway/core'
import { untilBegun, windowAfterCounting } from '../next-window.ts'
import type { Made } from '../warm-checks.ts'

/** Decides in RAM, over a memory store of its own. */
export function soft(limit: Limit, keys: number): Required<Made> {
  const limiter = createLimiter({ name: 'bench', limit, mode: 'soft', maxKeys: 2 * keys })
  return { check: (key) => limiter.checkSync(key), warm: () => limiter.flush(), drains: false }
}

/** The same by a sliding window, in which each key has one count in the window before. */
export function softSliding(limit: number, keys: number): Made {
  const next = windowAfterCounting(keys)
  const { check, warm } = soft(slidingWindow({ limit, window: next.length }), keys)
  return { check, warm: () => untilBegun(next).then(warm) }
}
