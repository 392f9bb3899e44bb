import type { Algorithm } from './algorithms/algorithm.ts'
import type { Decider } from './decider.ts'
import { keyIn, type LimitPart, type ScopeKeys } from './limit-parts.ts'
import type { SingleLimit } from './single-limit.ts'

/** One limit over one kind of key. */
export interface KeyedLimit extends Decider<string> {
  readonly part: LimitPart
  /** The limit in force. */
  readonly limit: Algorithm
  /** Its name, by the numbers in force. */
  readonly name: string
  /** The limit that decides on the key. */
  of(key: string): SingleLimit
  /** @throws StoreError where the store does not acknowledge it */
  setLimit(limit: Algorithm): Promise<void>
  /** Another table of the store answers again: one that is away is asked at once. */
  probe(): void
  /** The store is asked for nothing any more. */
  end(): void
}

/** The limits that decide on a check, and the key for each. */
export interface Asked {
  readonly limits: readonly SingleLimit[]
  readonly keys: readonly string[]
}

/** The limits for whose scope the check has a key. */
export function askedOf(all: readonly KeyedLimit[], key: string | ScopeKeys): Asked {
  const limits: SingleLimit[] = []
  const keys: string[] = []
  for (const limit of all) {
    const its = keyIn(key, limit.part.scope)
    if (its === undefined) continue
    limits.push(limit.of(its))
    keys.push(its)
  }
  return { limits, keys }
}
