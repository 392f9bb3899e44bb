/**
 * How many different keys there are among so many checks, if the n-th key is asked for in 1/n of the checks of the first:
 * the sum over all keys of 1 − (1 − p)^checks. Keys far down the list, which are nearly alike, are taken together.
 */
export function differentKeys(keys: number, checks: number): number {
  let harmonic = 0
  forGroups(keys, (place, count) => {
    harmonic += count / place
  })
  let sum = 0
  forGroups(keys, (place, count) => {
    sum += count * -Math.expm1(checks * Math.log1p(-1 / (place * harmonic)))
  })
  return sum
}

/** Each group's middle, and how many keys are in it: at most a thousandth of those before it. */
function forGroups(keys: number, act: (place: number, count: number) => void): void {
  for (let first = 1; first <= keys; ) {
    const count = Math.min(Math.ceil(first / 1000), keys - first + 1)
    act(first + (count - 1) / 2, count)
    first += count
  }
}

/**
 * Entries that a node which settles by itself sends for a check: each key that was asked for in an interval is settled
 * once, and one that the node never saw is read before.
 *
 * @param before checks that it has seen
 * @param interval checks of an interval
 */
export function entriesOfCheck(keys: number, before: number, interval: number): number {
  const firstSeen = differentKeys(keys, before + interval) - differentKeys(keys, before)
  return (differentKeys(keys, interval) + firstSeen) / interval
}
