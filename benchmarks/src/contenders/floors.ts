import { LRUCache } from 'lru-cache'

/** The least that a limiter does: a count in a window. */
class Count {
  count = 0
  constructor(public end: number) {}
}

/** The least that a limiter answers: seven fields. */
class Answer {
  constructor(
    readonly allowed: boolean,
    readonly limit: number,
    readonly remaining: number,
    readonly retryAfterMs: number,
    readonly resetAfterMs: number,
    readonly delayMs: number,
    readonly source: string,
  ) {}
}

function counted(entry: Count, now: number, limit: number, window: number): Answer {
  if (now >= entry.end) {
    entry.end = now + window
    entry.count = 0
  }
  const allowed = entry.count < limit
  if (allowed) entry.count++
  const reset = entry.end - now
  return new Answer(allowed, limit, limit - entry.count, allowed ? 0 : reset, reset, 0, 'local')
}

export type Floor = (key: string) => Answer

/** `lru-cache` get, `Date.now()`, a count, a result object of seven fields. */
export function lruFloor(keys: number, limit: number, window: number): Floor {
  const cache = new LRUCache<string, Count>({ max: keys })
  // One for all checks: by default `get` makes one for each.
  const options = {}
  return (key) => {
    const now = Date.now()
    let entry = cache.get(key, options)
    if (entry === undefined) {
      entry = new Count(now + window)
      cache.set(key, entry)
    }
    return counted(entry, now, limit, window)
  }
}

/** The same in a `Map`, which never forgets. */
export function mapFloor(limit: number, window: number): Floor {
  const map = new Map<string, Count>()
  return (key) => {
    const now = Date.now()
    let entry = map.get(key)
    if (entry === undefined) {
      entry = new Count(now + window)
      map.set(key, entry)
    }
    return counted(entry, now, limit, window)
  }
}
