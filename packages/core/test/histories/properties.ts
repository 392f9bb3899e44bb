import { Broken, keepsBudget, keepsSoftBound } from './bounds.ts'
import type { Count } from './count.ts'
import { countsOnce, forgetsWhatWasReset, takesWhatItTells } from './counts.ts'
import { Fleet } from './fleet.ts'
import type { Act, History, Kind } from './history.ts'

/** What must hold of every history of a kind. */
export interface Property {
  readonly name: string
  /** How many of the histories of the first seed, over 10,000 in all, are for this property and one algorithm. */
  readonly share: number
  readonly kind: Omit<Kind, 'algorithm'>
  /** What may happen besides, where checks decide on several limits. */
  readonly more: readonly Act[]
  /** What may happen besides all that, or alone, where nodes hold fewer keys than they are asked for. */
  readonly claims: readonly Act[]
  /** @throws Broken where it does not hold of a limit and a key */
  holds(count: Count): void | Promise<void>
}

const FAULTS = ['pause', 'suspend', 'stall', 'away'] as const
const DEATHS = ['crash', 'restart', 'join', 'switch'] as const

const WAITING = ['glance', 'glance', 'acquire', 'acquire'] as const
const CLAIMS = [...WAITING, 'reserve', 'reserve', 'reserve'] as const

export const PROPERTIES = {
  soft: {
    name: 'soft nodes stay within the bound of the design',
    share: 400,
    kind: { modes: ['soft', 'soft', 'fixed'], acts: [...FAULTS, ...DEATHS] },
    more: ['refund', 'penalty', 'set'],
    claims: CLAIMS,
    holds: keepsSoftBound,
  },
  leased: {
    name: 'leased nodes are never above the limit',
    share: 400,
    kind: { modes: ['leased', 'leased', 'leased', 'hard'], acts: [...FAULTS, ...DEATHS, 'refund', 'reset'] },
    more: ['penalty', 'set'],
    claims: CLAIMS,
    holds: keepsBudget,
  },
  deaths: {
    name: 'what a dead node may have spent is not spent again',
    share: 250,
    kind: { modes: ['leased', 'hard'], acts: ['crash', 'crash', 'restart', 'join'] },
    more: ['set'],
    claims: CLAIMS,
    holds: keepsBudget,
  },
  capped: {
    name: 'nodes with maxOvershoot stay within the share that was chosen',
    share: 300,
    kind: {
      modes: ['capped', 'capped', 'leased', 'hard'],
      acts: [...FAULTS, ...DEATHS, 'refund', 'reset'],
      rush: true,
    },
    more: ['penalty', 'set'],
    claims: CLAIMS,
    holds: keepsBudget,
  },
  mixed: {
    name: 'nodes of all modes together are as strict as the loosest',
    share: 300,
    kind: {
      modes: ['hard', 'leased', 'capped', 'soft', 'fixed'],
      acts: [...FAULTS, ...DEATHS, 'switch', 'switch'],
    },
    more: ['refund', 'penalty', 'set'],
    claims: CLAIMS,
    holds: keepsSoftBound,
  },
  counts: {
    name: 'what is admitted is counted once, whatever is lost',
    share: 300,
    kind: {
      modes: ['hard', 'leased', 'capped', 'soft', 'fixed'],
      acts: [...FAULTS, 'refund', 'join', 'switch', 'lose'],
      days: true,
    },
    more: ['penalty', 'set'],
    claims: CLAIMS,
    holds: countsOnce,
  },
  reset: {
    name: 'no late word heals back what was reset',
    share: 200,
    kind: {
      modes: ['soft', 'soft', 'fixed', 'hard'],
      acts: [...FAULTS, 'reset', 'reset', 'reset', 'join', 'switch', 'restart'],
      days: true,
    },
    more: ['set'],
    // What is settled after a reset gives nothing back, and charges what is over.
    claims: WAITING,
    holds: forgetsWhatWasReset,
  },
} satisfies Record<string, Property>

/** Lives a history through, and requires of it what its property says, and what holds of all. @throws Broken */
export async function live(property: Property, history: History): Promise<void> {
  const fleet = new Fleet(history)
  await fleet.play()
  const pending = await fleet.settle()
  if (pending > 0) throw new Broken(`${pending} stays pending though the store is well`)
  for (const wrong of fleet.wrongs) throw new Broken(wrong)
  for (const count of fleet.counts) {
    takesWhatItTells(count)
    await property.holds(count)
  }
}
