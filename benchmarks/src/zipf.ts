/**
 * How many different keys occur in this many checks, if the n-th key is asked for 1/n times as often as the first: the
 * sum over all keys of 1 − (1 − p)^checks. Keys far down the list, which are nearly alike, are grouped.
 */
export function differentKeys(keys: number, checks: number): number {
  const occurs = occurrence(keys)
  let sum = 0
  forGroups(keys, (place, count) => {
    sum += count * occurs(place, checks)
  })
  return sum
}

/** Returns how likely the key at a place occurs among so many checks: 1 − (1 − p)^checks. */
function occurrence(keys: number): (place: number, checks: number) => number {
  let harmonic = 0
  forGroups(keys, (place, count) => {
    harmonic += count / place
  })
  return (place, checks) => -Math.expm1(checks * Math.log1p(-1 / (place * harmonic)))
}

/** Calls `act` with each group's middle and its number of keys: at most a thousandth of those before it. */
function forGroups(keys: number, act: (place: number, count: number) => void): void {
  for (let first = 1; first <= keys; ) {
    const count = Math.min(Math.ceil(first / 1000), keys - first + 1)
    act(first + (count - 1) / 2, count)
    first += count
  }
}

/**
 * Entries per check that a settling node sends: each key that was asked for in an interval is settled once, and one
 * that the node never saw is read before.
 *
 * @param before checks that the node has seen
 * @param interval checks in an interval
 */
export function entriesOfCheck(keys: number, before: number, interval: number): number {
  const firstSeen = differentKeys(keys, before + interval) - differentKeys(keys, before)
  return (differentKeys(keys, interval) + firstSeen) / interval
}

/**
 * How many nodes have settled a key in its window, in the mean over the entries that a node sends: see `entriesOfCheck`.
 * What it reads first, fewer others have settled.
 *
 * @param before checks that each node has seen in the window
 * @param interval checks in an interval
 */
export function nodesOfEntry(keys: number, nodes: number, before: number, interval: number): number {
  const occurs = occurrence(keys)
  let entries = 0
  let met = 0
  forGroups(keys, (place, count) => {
    const settled = count * occurs(place, interval)
    const others = occurs(place, before)
    const read = settled * (1 - others)
    entries += settled + read
    met += settled * nodes * others + read * (nodes - 1) * others
  })
  return met / entries
}
