import { admissible, countsOf, draws, keyNames, type Popularity } from './keys.ts'
import { cpuMicroseconds, expectAdmitted, expectRemaining, medianOfSlices } from './measure.ts'
import { type Contender, type Given, TIME } from './question.ts'

// Checks of held keys, the same for all contenders of a case. Each contender has a process of its own, which calls it
// in one loop.

/** Includes what is done behind the checks, and excludes what else the machine does. */
export const CPU = 'ns of CPU a check'
/**
 * So long that hardly any run sees its end, where counts begin anew; no longer than the delay that Node's timers hold, which
 * rate-limiter-flexible sets. (With windows of a day, no run across midnight came to its end.)
 */
export const WINDOW_MS = 20 * 86_400_000
/** Turns in a round. */
export const TURNS = 20

export interface Shape {
  readonly keys: number
  readonly popularity: Popularity
  /** Checks between two turns of the event loop. */
  readonly burst: number
  /** Checks before the first turn: code that is called so often is compiled late, and more than once. */
  readonly warmUp: number
  /** Checks in a turn of the contender. */
  readonly checks: number
  /** The limit of each key, for the time that all this takes. */
  readonly limit: number
}

/** The checks to make: the key at a place is `names[order[place & WRAP]]`. */
export interface Asked {
  readonly names: readonly string[]
  readonly order: Uint32Array
}

/** After this many checks the drawn keys repeat, in the same order. */
const DRAWS = 2 ** 20
export const WRAP = DRAWS - 1

export interface Subject {
  /** Checks a key for the first time; returns whether it is allowed. */
  first(key: string): boolean | Promise<boolean>
  /** Makes the keys held: then the store has answered for them. */
  warm?(): Promise<void>
  /** Checks the keys from one place to another; returns how many were allowed. */
  ask(asked: Asked, from: number, to: number): number | Promise<number>
  /** Checks a key once more; returns what remains by the answer. */
  remaining(key: string): number | Promise<number>
  /** Whether what was counted is freed as time passes. */
  readonly drains?: boolean
}

/**
 * Measures in turns. What was admitted, from the first check to the last, must be what the limit allows, and what remains
 * what it leaves.
 */
export async function warmChecks(given: Given, shape: Shape, make: () => Subject): Promise<undefined> {
  const { keys, popularity, burst, limit } = shape
  const asked = { names: keyNames(keys), order: draws(popularity, keys, DRAWS) }
  // After the draws, which take time: a window may be about to end.
  const subject = make()
  let admitted = 0
  let place = 0
  for (let from = 0; from < keys; from += burst) {
    const answers = asked.names.slice(from, from + burst).map((key) => subject.first(key))
    for (const allowed of await Promise.all(answers)) if (allowed) admitted++
  }
  await subject.warm?.()
  const note = (allowed: number) => {
    admitted += allowed
  }
  const act = (checks: number) => {
    const from = place
    place += checks
    const allowed = subject.ask(asked, from, place)
    if (typeof allowed !== 'number') return allowed.then(note)
    note(allowed)
    return undefined
  }
  await medianOfSlices(Math.ceil(shape.warmUp * given.share), burst, act)
  await measuredTurns(given.turns, Math.ceil(shape.checks * given.share), burst, act)
  // Each key was asked for once before.
  const counts = countsOf(asked.order, keys, place).map((count) => count + 1)
  expectAdmitted(admitted, admissible(counts, limit))
  const remaining = (key: number) => subject.remaining(asked.names[key]!)
  await expectRemaining(counts, limit, remaining, subject.drains ? Infinity : 0)
  return undefined
}

/** What a burst takes that checks nothing: the turn of the event loop behind it. */
export async function emptyBursts({ share, turns }: Given, shape: Shape): Promise<undefined> {
  const nothing = () => undefined
  await medianOfSlices(Math.ceil(shape.warmUp * share), shape.burst, nothing)
  await measuredTurns(turns, Math.ceil(shape.checks * share), shape.burst, nothing)
  return undefined
}

function measuredTurns(
  turns: Given['turns'],
  checks: number,
  burst: number,
  act: (checks: number) => Promise<void> | undefined,
): Promise<void> {
  return turns(async () => {
    const cpu = cpuMicroseconds()
    const time = await medianOfSlices(checks, burst, act)
    return { [TIME]: time, [CPU]: ((cpuMicroseconds() - cpu) * 1000) / checks }
  })
}

/** A contender that answers without a promise, made in its own process. */
export interface Made {
  check(key: string): { readonly allowed: boolean; readonly remaining: number }
  warm?(): Promise<void>
  readonly drains?: boolean
}

/** Runs one such contender. */
export function runMade(make: () => Made, shape: Shape): Contender['run'] {
  const subject = (): Subject => {
    const { check, warm, drains = false } = make()
    const ask = ({ names, order }: Asked, from: number, to: number) => {
      let allowed = 0
      for (let place = from; place < to; place++) if (check(names[order[place & WRAP]!]!).allowed) allowed++
      return allowed
    }
    const first = (key: string) => check(key).allowed
    const remaining = (key: string) => check(key).remaining
    return { first, ask, remaining, drains, ...(warm && { warm }) }
  }
  return (given) => warmChecks(given, shape, subject)
}
