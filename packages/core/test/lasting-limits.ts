import { fixedWindow, slidingLog, slidingWindow, tokenBucket } from '../src/index.ts'

/** Limits of 100, of which nothing that counts is free again within a test. */
export const LASTING_LIMITS = {
  bucket: tokenBucket({ capacity: 100, refill: 1, per: '10m' }),
  'fixed window': fixedWindow({ limit: 100, window: '365d' }),
  'sliding window': slidingWindow({ limit: 100, window: '365d' }),
  'sliding log': slidingLog({ limit: 100, window: '365d' }),
}
