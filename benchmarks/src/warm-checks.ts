import { admissible, draws, keyNames, type Popularity } from './keys.ts'
import { cpuMicroseconds, expectAdmitted, medianOfSlices } from './measure.ts'
import { type Contender, type Given, TIME } from './question.ts'

// Checks of keys that are held, the same for all contenders of a case: each has a process of its own, in which it is
// called by one loop.

/** With what is done behind the checks, and without what else the machine does. */
export const CPU = 'ns of CPU a check'
/** In a round. */
export const TURNS = 20

export interface Shape {
  readonly keys: number
  readonly popularity: Popularity
  /** Checks between two turns of the event loop. */
  readonly burst: number
  /** Before the first turn: code that is called so often is compiled late, and more than once. */
  readonly warmUp: number
  /** In a turn of the contender's. */
  readonly checks: number
  /** Of each key, within the time that all this takes. */
  readonly limit: number
}

/** What is asked for: the key at a place is `names[order[place & WRAP]]`. */
export interface Asked {
  readonly names: readonly string[]
  readonly order: Uint32Array
}

/** The keys are drawn anew, in the same order, after so many. */
const DRAWS = 2 ** 20
export const WRAP = DRAWS - 1

export interface Subject {
  /** Is asked for a key for the first time; whether it is allowed. */
  first(key: string): boolean | Promise<boolean>
  /** What a held key is: one that the store has answered for. */
  warm?(): Promise<void>
  /** Asks for the keys from one place to another; returns how often it was allowed. */
  ask(asked: Asked, from: number, to: number): number | Promise<number>
}

/** Measures in turns; what was admitted, from the first check to the last, must be what the limit allows. */
export async function warmChecks(given: Given, shape: Shape, subject: Subject): Promise<undefined> {
  const { keys, popularity, burst, limit } = shape
  const asked = { names: keyNames(keys), order: draws(popularity, keys, DRAWS) }
  let admitted = 0
  let place = 0
  for (const key of asked.names) if (await subject.first(key)) admitted++
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
  const checks = Math.ceil(shape.checks * given.share)
  await medianOfSlices(Math.ceil(shape.warmUp * given.share), burst, act)
  await given.turns(async () => {
    const cpu = cpuMicroseconds()
    const time = await medianOfSlices(checks, burst, act)
    return { [TIME]: time, [CPU]: ((cpuMicroseconds() - cpu) * 1000) / checks }
  })
  const all = new Uint32Array(keys + place)
  for (let key = 0; key < keys; key++) all[key] = key
  for (let done = 0; done < place; done++) all[keys + done] = asked.order[done & WRAP] as number
  expectAdmitted(admitted, admissible(all, keys, limit))
  return undefined
}

/** A contender that answers without a promise, as it is made in its process. */
export interface Made {
  check(key: string): { readonly allowed: boolean }
  warm?(): Promise<void>
}

/** Runs one such contender. */
export function runMade(make: () => Made, shape: Shape): Contender['run'] {
  return (given) => {
    const { check, warm } = make()
    const ask = ({ names, order }: Asked, from: number, to: number) => {
      let allowed = 0
      for (let place = from; place < to; place++) if (check(names[order[place & WRAP]!]!).allowed) allowed++
      return allowed
    }
    return warmChecks(given, shape, { first: (key) => check(key).allowed, ask, ...(warm && { warm }) })
  }
}
