import { setTimeout as sleep } from 'node:timers/promises'
import { createLimiter, fixedWindow, type Store } from '@spillway/core'

/**
 * The window of the limits. It is far longer than a replay, so that all of a mode's requests fall inside one
 * window: what each limit should admit is then known beforehand, and both modes are asked the same.
 */
export const window = '10m'

/** Milliseconds until the store's current window ends. Rejects with a `StoreError` if the store is away. */
export async function windowLeft(store: Store): Promise<number> {
  const limiter = createLimiter({
    name: 'demo-probe',
    limit: fixedWindow({ limit: 1, window }),
    store,
    timeout: '5s',
    onOutage: 'throw',
  })
  try {
    const { resetAfterMs } = await limiter.check('now')
    return resetAfterMs
  } finally {
    await limiter.close()
  }
}

/** Runs a replay that should take up to `ms` inside one window, after waiting for a new one if need be. */
export async function insideOneWindow<T>(store: Store, ms: number, replay: () => Promise<T>): Promise<T> {
  let left = await windowLeft(store)
  if (left < ms) {
    process.stderr.write(`the window is about to end: waiting ${Math.ceil(left / 1000)} s for the next\n`)
    await sleep(left)
    left = await windowLeft(store)
  }
  const ends = performance.now() + left
  const result = await replay()
  if (performance.now() >= ends) {
    throw new Error(
      'the window turned during the replay, so that its counts mean nothing: run the demo again',
    )
  }
  return result
}
