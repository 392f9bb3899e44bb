/** How often each key is asked for: all equally, or by Zipf's law, the n-th key 1/n times as often as the first. */
export type Popularity = 'uniform' | 'zipf'

/** The same numbers in every process: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function keyNames(count: number): string[] {
  return Array.from({ length: count }, (_, place) => `user:${place}`)
}

/** The places of the keys that are checked, in order. */
export function draws(popularity: Popularity, keys: number, length: number, seed = 1): Uint32Array {
  const random = seeded(seed)
  if (popularity === 'uniform') return Uint32Array.from({ length }, () => Math.floor(random() * keys))
  const cumulative = new Float64Array(keys)
  let sum = 0
  for (let place = 0; place < keys; place++) {
    sum += 1 / (place + 1)
    cumulative[place] = sum
  }
  return Uint32Array.from({ length }, () => firstAtLeast(cumulative, random() * sum))
}

function firstAtLeast(cumulative: Float64Array, wanted: number): number {
  let low = 0
  let high = cumulative.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((cumulative[middle] as number) < wanted) low = middle + 1
    else high = middle
  }
  return low
}

/** How often each key is asked for in `order`, up to a place past its end: then it begins anew. */
export function countsOf(order: Uint32Array, keys: number, length = order.length): Uint32Array {
  const counts = new Uint32Array(keys)
  for (let done = 0; done < length; done++) counts[order[done % order.length] as number]!++
  return counts
}

/** How many checks a limit admits of keys that are asked for so often, if nothing is freed meanwhile. */
export function admissible(counts: Uint32Array, limit: number): number {
  let sum = 0
  for (const count of counts) sum += Math.min(count, limit)
  return sum
}
