import type { Settings } from '../options.ts'
import type { SingleLimit } from '../single-limit.ts'
import { type JointlyTaken, JointTakes } from './joint-takes.ts'

/** Takes of some of the limits of a check, all at one moment. */
export interface Taker {
  /** Where these limits stand among those of the check. */
  readonly places: readonly number[]
  /** @param keys of each of its limits */
  take(keys: readonly string[], cost: number): Promise<JointlyTaken>
}

/**
 * Who takes of limits that are decided together: one where they lie on one server, else one for each group of them.
 *
 * @param limits hard ones
 */
export function takersOf(limits: readonly SingleLimit[], settings: Settings): readonly Taker[] {
  const places = limits.map((_, place) => place)
  const whole = jointTaker(limits, places, settings, false)
  if (whole !== undefined) return [whole]
  const groups = new Map<string, number[]>()
  for (const [place, { part }] of limits.entries())
    groups.set(part.group, [...(groups.get(part.group) ?? []), place])
  return [...groups.values()].flatMap((its) => {
    const joint = its.length > 1 ? jointTaker(limits, its, settings, false) : undefined
    return joint ?? its.map((place) => singleTaker(limits[place] as SingleLimit, place))
  })
}

/** With `reserve` the last of the limits is taken of where the others are used up; nothing where they can't be joined. */
export function jointTaker(
  all: readonly SingleLimit[],
  places: readonly number[],
  { store, clock, timeout }: Settings,
  reserve: boolean,
): Taker | undefined {
  const limits = places.map((place) => all[place] as SingleLimit)
  const joint = store.join?.(limits.map(({ part }) => part))
  if (joint === undefined) return undefined
  const takes = new JointTakes(joint, limits, reserve, clock, timeout)
  return { places, take: (keys, cost) => takes.take(keys, cost) }
}

function singleTaker({ hard }: SingleLimit, place: number): Taker {
  return {
    places: [place],
    take: async ([key], cost) => {
      const taken = await hard?.take(key as string, cost)
      return { decisions: taken === undefined ? [] : [taken.decision], at: taken?.at }
    },
  }
}
