import type { LimiterKey } from './request-limiter.ts'
import { sha256 } from './sha256.ts'

/** What core takes for a key: 1 to this many bytes of UTF-8. */
const LONGEST_KEY = 1024

/** A string this short is at most 1,024 bytes whatever it holds: three bytes a UTF-16 unit at the most. */
const SURELY_SHORT = Math.floor(LONGEST_KEY / 3)

const HASHED = 'sha256:'

/**
 * The key as a limiter takes it: what clients send can be empty or longer than a key may be, and must be counted all
 * the same. Such keys become their hash, and so do those that look like one, so that no two clients' keys meet. What is
 * no key the limiter refuses.
 */
export function storableKey<K extends LimiterKey>(key: K): K
export function storableKey(key: unknown): unknown {
  if (typeof key === 'string') return storableText(key)
  if (typeof key !== 'object' || key === null) return key
  return Object.fromEntries(
    Object.entries(key).map(([scope, its]) => [scope, typeof its === 'string' ? storableText(its) : its]),
  )
}

function storableText(key: string): string {
  const fits =
    key.length > 0 &&
    !key.startsWith(HASHED) &&
    (key.length <= SURELY_SHORT || Buffer.byteLength(key) <= LONGEST_KEY)
  if (fits) return key
  // As UTF-8 all lone surrogates are alike; JSON writes each as an escape of its own.
  return key.isWellFormed() ? HASHED + sha256(key) : `${HASHED}json:${sha256(JSON.stringify(key))}`
}
