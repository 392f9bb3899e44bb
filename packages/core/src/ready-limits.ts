import { combined } from './combined-decision.ts'
import type { Decision } from './decision.ts'
import type { KeyedLimit } from './keyed-limit.ts'
import { keyIn, type ScopeKeys } from './limit-parts.ts'
import type { LocalChecks } from './local/local-checks.ts'
import type { LocalDecisions } from './local/local-decisions.ts'
import type { SingleLimit } from './single-limit.ts'

/**
 * The short path of checks of cost 1 on several limits, if nothing but the key's row need be looked at for each of
 * them. The lists are those of the check at hand, made once: made for each check, they would cost as much again.
 */
export class ReadyLimits {
  private readonly asked: SingleLimit[]
  private readonly rows: number[]
  private readonly decisions: Decision[]

  constructor(private readonly limits: readonly KeyedLimit[]) {
    this.asked = new Array(limits.length)
    this.rows = new Array(limits.length)
    this.decisions = new Array(limits.length)
  }

  /** Undefined if the rows do not suffice: then nothing has happened. */
  check(key: string | ScopeKeys): Decision | undefined {
    const { limits, asked, rows, decisions } = this
    let isShut = false
    for (let place = 0; place < limits.length; place++) {
      const limit = limits[place] as KeyedLimit
      const its = keyIn(key, limit.part.scope)
      if (its === undefined) return undefined
      const single = limit.of(its)
      const held = here(single)
      const row = held.keys.findRow(its)
      if (row < 0) return undefined
      const readiness = held.readiness(row)
      if (readiness === 0) return undefined
      if (readiness < 0) isShut = true
      asked[place] = single
      rows[place] = row
    }
    for (let place = 0; place < limits.length; place++) {
      const held = here(asked[place] as SingleLimit)
      const row = rows[place] as number
      const decision = isShut ? (held.refuseShut(row) ?? held.lookReady(row)) : held.takeReady(row)
      if (decision === undefined) {
        this.undo(place, !isShut)
        return undefined
      }
      decisions[place] = decision
    }
    return combined(asked, decisions, 1)
  }

  /** Undoes the first `count` decisions, each of which has taken, or only looked. */
  private undo(count: number, taken: boolean): void {
    for (let place = 0; place < count; place++) {
      const held = here(this.asked[place] as SingleLimit)
      const row = this.rows[place] as number
      if (!(this.decisions[place] as Decision).allowed) held.undoRefused(row)
      else if (taken) held.undoTaken(row)
    }
  }
}

/** Holds the keys of a limit that is not hard. */
function here({ local }: SingleLimit): LocalDecisions {
  return (local as LocalChecks).decisions
}
