import type { Decision } from '../decision.ts'
import type { Settings } from '../options.ts'
import type { SingleLimit } from '../single-limit.ts'
import type { HardChecks } from './hard-checks.ts'
import { type JointlyTaken, JointTakes } from './joint-takes.ts'
import { peeksOf, TAKES } from './take-queue.ts'

/** Takes from some of a check's limits, all at one moment. */
export interface Taker {
  /** The places of these limits among those of the check. */
  readonly places: readonly number[]
  /** @param keys one for each of its limits */
  take(keys: readonly string[], cost: number): Promise<JointlyTaken>
  /** What each would say to a cost of 1. */
  peek(keys: readonly string[]): Promise<readonly Decision[]>
}

/** The takers of hard limits that are decided together: one for all limits in one place. */
export class Takers {
  private readonly joint = new Map<string, JointTakes>()

  constructor(private readonly settings: Settings) {}

  /** @param reserve has a taker of its own, the last */
  of(limits: readonly SingleLimit[], reserve?: SingleLimit): readonly Taker[] {
    const alone: Taker[] = []
    const together = new Map<string, number[]>()
    for (const [at, limit] of limits.entries()) {
      const { place } = limit.link.table
      if (place === undefined) alone.push(single(limit, at))
      else together.set(place, [...(together.get(place) ?? []), at])
    }
    for (const places of together.values()) {
      const its = places.map((at) => limits[at] as SingleLimit)
      const takes = its.length > 1 ? this.jointly(its, false) : undefined
      if (takes === undefined) for (const at of places) alone.push(single(limits[at] as SingleLimit, at))
      else
        alone.push({
          places,
          take: (keys, cost) => takes.take(keys, cost),
          peek: (keys) => this.peekJointly(its, keys) as Promise<readonly Decision[]>,
        })
    }
    if (reserve !== undefined) alone.push(single(reserve, limits.length))
    return alone
  }

  /** Resolves when all that was begun together has its answer. */
  async idle(): Promise<void> {
    await Promise.all([...this.joint.values()].map((takes) => takes.idle()))
  }

  /** What each would say to a cost of 1. Undefined: they can't be asked together. */
  peekJointly(
    limits: readonly SingleLimit[],
    keys: readonly string[],
  ): Promise<readonly Decision[]> | undefined {
    const peeks = this.jointly(limits, false, peeksOf(...limits.map(({ limit }) => limit)))
    return peeks?.take(keys, 1).then(({ decisions }) => decisions)
  }

  /** With `reserve`, the last limit pays if the others are used up. Undefined: they can't be asked together. */
  jointly(limits: readonly SingleLimit[], reserve: boolean, asking = TAKES): JointTakes | undefined {
    const { store, clock, timeout } = this.settings
    const [first] = limits
    const place = first?.link.table.place
    if (store.join === undefined || place === undefined) return undefined
    if (limits.some(({ link }) => link.table.place !== place)) return undefined
    const name = `${asking.what} ${limits.map(({ link }) => link.node).join()}`
    let takes = this.joint.get(name)
    if (takes === undefined) {
      takes = new JointTakes(
        store.join(limits.map(({ part }) => part)),
        limits,
        reserve,
        clock,
        timeout,
        asking,
      )
      this.joint.set(name, takes)
    }
    return takes
  }
}

function single({ hard }: SingleLimit, place: number): Taker {
  return {
    places: [place],
    take: async ([key], cost) => {
      const { decision, heard } = await (hard as HardChecks).take(key as string, cost)
      return { decisions: [decision], heard: [heard] }
    },
    peek: async ([key]) => [await (hard as HardChecks).peek(key as string)],
  }
}
