import type { HardLimiter } from '../src/index.ts'

/** Takes of the key until it is refused; returns how often it was not. */
export async function takeAll(limiter: HardLimiter, key = 'key'): Promise<number> {
  let taken = 0
  while ((await limiter.check(key)).allowed) taken++
  return taken
}
