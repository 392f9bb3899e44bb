import type { LimiterKey } from './request-limiter.ts'
import { sha256 } from './sha256.ts'

/** The longest key that core accepts, in bytes of UTF-8. */
const LONGEST_KEY = 1024

/** A string of this length is at most 1,024 bytes, whatever it holds: a UTF-16 unit takes up to three bytes. */
const SURELY_SHORT = Math.floor(LONGEST_KEY / 3)

const HASHED = 'sha256:'

/**
 * Turns a key into one that limiters accept. Clients can send empty or overlong keys, which must count all the same:
 * these become their hash. So do keys that look like such a hash, so that no two clients' keys meet. Anything that is
 * no key is left for the limiter to refuse.
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
  // In UTF-8 all lone surrogates look alike; JSON escapes each differently.
  return key.isWellFormed() ? HASHED + sha256(key) : `${HASHED}json:${sha256(JSON.stringify(key))}`
}
