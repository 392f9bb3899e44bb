import type { Count, KeyTally, Phase, PhaseTally, Track, TrackTally } from './node/job.ts'
import { isShort, limiterName } from './node/job.ts'
import { strictBound } from './tracks.ts'
import type { Evidence, NodeRecord } from './under-load.ts'

/** Milliseconds a check may take beyond its timeout and its event loop's lateness. */
export const GRACE = 50
/** How much more a process may hold after a fault than before it: megabytes of memory, and timers or sockets. */
const GROWTH_MB = 16
const GROWTH_TIMERS = 5
/**
 * The most commands that a node may send to a store that is away, until it notices and then as probes, in some 5 s.
 * Answered commands do not count: the server is back before the nodes are told that the fault is over, by some tenths
 * of a second on a busy machine, and a node that probes it just then sends its checks: in one second, 43 commands of
 * which 6 had no answer.
 */
const MOST_PROBES = 30

/** Milliseconds within which every node is to be back: three of the longest waits for a probe. */
const BACK_WITHIN = 15_000

/** Faults that block one node's event loop. */
const BLOCKING = ['node-blocked', 'blocked']
/** No stampede after an outage: at most this many times the commands per check before, and this many more per node. */
const MOST_TIMES = 2
const MOST_BESIDES = 100

/** Something that must hold, and whether it did. */
export interface Claim {
  readonly says: string
  readonly holds: boolean
  readonly detail: string
  /** Whether it is about counts, so that it does not depend on the machine's speed. */
  readonly counts: boolean
}

/** The outcome of a track in a fault, over all nodes; in cost, except for checks. */
export interface Outcome {
  readonly track: string
  readonly offered: number
  readonly admitted: number
  readonly admittedInOutage: number
  /** The count in the store, as a new limiter reads it; for short windows, what the store has acknowledged. */
  readonly counted: number
  /** Counted less admitted. */
  readonly difference: number
  /** Quota still booked, though every node that could give it back has ended. */
  readonly booked: number
  readonly owed: number
  readonly expired: number
  readonly uncertain: number
  /** Milliseconds. */
  readonly longestCheck: number
  readonly longestExcess: number
  /** The most that a key was admitted above its limit. */
  readonly overshoot: number
  readonly commandsDuring: number
  readonly during: Pick<PhaseTally, 'checks' | 'admitted' | 'admittedInOutage' | 'denied' | 'thrown'>
  readonly claims: readonly Claim[]
}

export interface Verdict {
  readonly fault: string
  readonly title: string
  readonly keeps: boolean
  readonly nodes: number
  readonly recoveredAfterMs: number | undefined
  readonly heldUp: number
  readonly claims: readonly Claim[]
  readonly outcomes: readonly Outcome[]
  readonly holds: boolean
}

function claim(says: string, holds: boolean, detail: string): Claim {
  return { says, holds, detail, counts: false }
}

function countClaim(says: string, holds: boolean, detail: string): Claim {
  return { says, holds, detail, counts: true }
}

/** @param seen what was watched while it happened */
export function judge(evidence: Evidence, seen: readonly Claim[] = []): Verdict {
  const { scene, nodes, tracks, recoveredAfter, heldUp } = evidence
  const claims = [...seen, ...processClaims(nodes, scene.reconnects ?? false)]
  const back = recoveredAfter ?? Infinity
  claims.push(claim('every node is back with the store', back < Infinity, show(recoveredAfter)))
  // Not judged on a stalled machine: a node without CPU time gets no answers in time, and doubles its wait after each.
  if (!stalled(evidence))
    claims.push(claim(`and within ${BACK_WITHIN / 1000} s`, back <= BACK_WITHIN, show(recoveredAfter)))
  const outcomes = tracks.map((track) => judgeTrack(track, evidence))
  return {
    fault: scene.name,
    title: scene.title,
    keeps: scene.keeps,
    nodes: nodes.length,
    recoveredAfterMs: recoveredAfter === undefined ? undefined : Math.round(recoveredAfter),
    heldUp: Math.round(Math.max(heldUp, ...nodes.map(({ journal }) => journal.heldUp))),
    claims,
    outcomes,
    holds: [...claims, ...outcomes.flatMap((outcome) => outcome.claims)].every(({ holds }) => holds),
  }
}

function show(ms: number | undefined): string {
  return ms === undefined ? 'never' : `${Math.round(ms)} ms`
}

function processClaims(nodes: readonly NodeRecord[], reconnects: boolean): Claim[] {
  const accidents = nodes.flatMap(({ journal }) => journal.accidents)
  const crashes = nodes.filter(({ killed, exitCode }) => !killed && exitCode !== null && exitCode !== 0)
  const quiet = nodes.flatMap(({ quiet }) => quiet ?? [])
  const growth = quiet.map(({ before, after }) => after.heapMb - before.heapMb)
  const timers = quiet.map(({ before, after }) => after.timers - before.timers)
  const sockets = quiet.map(({ before, after }) => after.sockets - before.sockets)
  return [
    countClaim('no unhandled rejection, exception or warning', accidents.length === 0, accidents.join('\n')),
    countClaim('no crash', crashes.length === 0, `${crashes.length} crashed`),
    claim(
      'memory is back where it was',
      growth.every((mb) => mb <= GROWTH_MB),
      `${round(Math.max(...growth))} MB more`,
    ),
    claim(
      'timers and sockets are back where they were',
      [...timers, ...(reconnects ? [] : sockets)].every((more) => more <= GROWTH_TIMERS),
      `${Math.max(...timers)} timers and ${Math.max(...sockets)} sockets more`,
    ),
  ]
}

interface NodeTrack {
  readonly tally: TrackTally
  readonly killed: boolean
  readonly changed: boolean
}

function judgeTrack(track: Track, evidence: Evidence): Outcome {
  const { scene, run, counts } = evidence
  const parts = evidence.nodes.map(({ journal, killed, quiet }): NodeTrack => {
    const tally = journal.tracks.find(({ label }) => label === track.label) as TrackTally
    return { tally, killed, changed: quiet === undefined }
  })
  const tallies = parts.map(({ tally }) => tally)
  const inStore = counts[limiterName(run, track.label)] ?? {}
  const keys = Object.keys(inStore)
  const of = (key: string, what: keyof KeyTally) => sum(tallies.map((tally) => tally.keys[key]?.[what] ?? 0))
  const total = (what: keyof KeyTally) => sum(keys.map((key) => of(key, what)))
  const short = isShort(track)
  const counted = short
    ? sum(tallies.map(({ acknowledged }) => acknowledged))
    : sum(Object.values(inStore).map((count) => count.counted))
  const phases = tallies.map(({ phases }) => phases.during)
  const during = {
    checks: sum(phases.map(({ checks }) => checks)),
    admitted: sum(phases.map(({ admitted }) => admitted)),
    admittedInOutage: sum(phases.map(({ admittedInOutage }) => admittedInOutage)),
    denied: addUp(phases.map(({ denied }) => denied)),
    thrown: addUp(phases.map(({ thrown }) => thrown)),
  }
  const longestExcess = Math.max(...tallies.map((tally) => tally.longestExcess))
  const overshoot = short ? 0 : Math.max(0, ...keys.map((key) => of(key, 'counted') - track.limit))
  const open = sum(parts.filter(({ killed }) => !killed).map(({ tally }) => tally.open))
  const admitted = total('counted')
  const uncertain = sum(tallies.map((tally) => tally.uncertain))
  const claims = [
    claim('no check outlasts its timeout', longestExcess <= GRACE, `${round(longestExcess)} ms beyond`),
    countClaim('every check is answered', open === 0, `${open} are not`),
    ...outageClaims(track, evidence, parts, during),
  ]
  if (short) claims.push(...windowClaims(track, scene.keeps, parts))
  else if (track.mode === 'hard') {
    const differences = keys.map((key) => (inStore[key] as Count).counted - of(key, 'counted'))
    claims.push(...hardClaims(evidence, parts, differences, uncertain))
  } else claims.push(...settledClaims(scene.keeps, track, evidence, parts, inStore))
  const bound = strictBound(track)
  if (bound !== undefined && scene.keeps && !short) {
    const most = Math.max(...keys.map((key) => of(key, 'counted')))
    claims.push(countClaim(`never above ${bound}`, most <= bound, `at most ${most}`))
  }
  return {
    track: track.label,
    offered: total('offered'),
    admitted,
    admittedInOutage: total('outage'),
    counted,
    difference: counted - admitted,
    booked: sum(Object.values(inStore).map((count) => count.booked)),
    owed: sum(tallies.map((tally) => tally.pending)),
    expired: sum(tallies.map((tally) => tally.expired)),
    uncertain,
    longestCheck: round(Math.max(...tallies.map((tally) => tally.longest))),
    longestExcess: round(longestExcess),
    overshoot,
    commandsDuring: sum(phases.map(({ storeCalls }) => storeCalls)),
    during,
    claims,
  }
}

/** Whether the machine held its processes up so long that this may have caused an outage of its own. */
function stalled({ scene, nodes, heldUp, timeout }: Evidence): boolean {
  const delays = nodes.map(({ journal }) => journal.heldUp).sort((one, other) => other - one)
  // The node that the fault itself blocks does not count.
  const others = BLOCKING.includes(scene.name) ? delays.slice(1) : delays
  return Math.max(heldUp, ...others) > timeout / 2
}

function outageClaims(
  { mode, onOutage, label }: Track,
  evidence: Evidence,
  parts: readonly NodeTrack[],
  during: Outcome['during'],
): Claim[] {
  const { scene } = evidence
  const lasting = parts.filter(({ changed, killed }) => !changed && !killed).map(({ tally }) => tally)
  const told = lasting.map(({ degraded, recovered }) => `${degraded} and ${recovered}`).join(', ')
  const times = (count: number) => lasting.every(({ degraded }) => degraded === count)
  const paired = claim(
    'each outage is told once, and its end once',
    lasting.every((tally) => tally.degraded - tally.recovered === (tally.isDegraded ? 1 : 0)),
    told,
  )
  const judged = !stalled(evidence)
  if (scene.outage === 'none') return judged ? [paired, claim('no outage is told', times(0), told)] : [paired]
  if (scene.outage === 'flaky') return [paired]
  const commands = lasting.map(({ phases }) => phases.during.unanswered)
  const thrown = sum(Object.values(during.thrown))
  const denied = during.denied.outage ?? 0
  const does = {
    deny: denied > 0 && during.admittedInOutage === 0 && thrown === 0,
    throw: thrown > 0 && during.admittedInOutage === 0 && denied === 0,
    allow: during.admittedInOutage > 0 && denied === 0 && thrown === 0,
    local:
      (mode === 'hard' ? during.admittedInOutage > 0 : during.admitted > 0) && denied === 0 && thrown === 0,
  }[onOutage]
  return [
    paired,
    // To a node that stood still meanwhile, the outage may have looked like a single late answer.
    judged
      ? claim('the outage is told once', times(1), told)
      : claim(
          'the outage is told',
          lasting.some(({ degraded }) => degraded >= 1),
          told,
        ),
    claim(
      `onOutage '${onOutage}' does what it says`,
      does,
      `${label}: denied ${denied}, thrown ${thrown}, let through ${during.admittedInOutage}, admitted ${during.admitted}`,
    ),
    claim(
      'a dead store is probed, not hammered',
      commands.every((calls) => calls <= MOST_PROBES),
      `${commands.join(', ')} commands were not answered`,
    ),
    calm(lasting),
  ]
}

/**
 * Once the store is back, it is sent no more commands per check than before. That includes what it answered before the
 * nodes were told that it is back.
 */
function calm(lasting: readonly TrackTally[]): Claim {
  const total = (phase: Phase, what: 'checks' | 'storeCalls' | 'unanswered') =>
    sum(lasting.map(({ phases }) => phases[phase][what]))
  const before = total('before', 'storeCalls') / Math.max(1, total('before', 'checks'))
  const calls = total('after', 'storeCalls') + total('during', 'storeCalls') - total('during', 'unanswered')
  const most = MOST_TIMES * before * total('after', 'checks') + MOST_BESIDES * lasting.length
  return claim('recovery is no stampede', calls <= most, `${calls} commands, of at most ${Math.round(most)}`)
}

/** The store's count lies between the cost answered as counted, and that plus all that may have been counted. */
function hardClaims(
  { scene, load }: Evidence,
  parts: readonly NodeTrack[],
  differences: readonly number[],
  uncertain: number,
): Claim[] {
  const unanswered = sum(parts.filter(({ killed }) => killed).map(({ tally }) => tally.open * load.hotCost))
  const more = sum(differences.map((difference) => Math.max(0, difference)))
  const less = sum(differences.map((difference) => Math.max(0, -difference)))
  const atMost = uncertain * load.hotCost + unanswered + announced(parts)
  const claims = [
    countClaim(
      'what was counted though the check was answered by the outage rule is uncertain',
      more <= atMost,
      `${more} counted beyond what was admitted; ${uncertain} checks uncertain`,
    ),
  ]
  if (scene.keeps) claims.push(countClaim('nothing that was admitted is lost', less === 0, `${less} lost`))
  return claims
}

/** Cost that a killed node was about to offer: its journal notes a check before it is made. */
function announced(parts: readonly NodeTrack[]): number {
  return sum(
    parts
      .filter(({ killed }) => killed)
      .map(({ tally }) => {
        const { offered, answered } = Object.values(tally.keys).reduce(
          (all, key) => ({
            offered: all.offered + key.offered,
            answered: all.answered + key.counted + key.outage,
          }),
          { offered: 0, answered: 0 },
        )
        return Math.min(offered - answered, 50 * 25)
      }),
  )
}

/**
 * Each key's count is what the nodes admitted, to the last unit, except what a killed node had pending: so no check
 * that the outage rule answered was counted. Booked quota has gone back, except that of killed nodes.
 */
function settledClaims(
  keeps: boolean,
  track: Track,
  evidence: Evidence,
  parts: readonly NodeTrack[],
  inStore: Record<string, Count>,
): Claim[] {
  const killed = parts.filter((part) => part.killed)
  // A node that closes flushes three times, which may be in vain on a stalled machine.
  const ended = stalled(evidence) ? parts.filter((part) => part.changed) : killed
  const lost = sum(ended.map(({ tally }) => tally.pending))
  const differences = Object.entries(inStore).map(
    ([key, { counted }]) => counted - sum(parts.map(({ tally }) => tally.keys[key]?.counted ?? 0)),
  )
  const less = sum(differences.map((difference) => Math.max(0, -difference)))
  const more = sum(differences.map((difference) => Math.max(0, difference)))
  const owed = sum(
    parts.filter((part) => !part.killed && !ended.includes(part)).map(({ tally }) => tally.pending),
  )
  const books = track.mode === 'leased' || track.maxOvershoot !== undefined
  const uncertain = sum(parts.map(({ tally }) => tally.uncertain))
  const claims = [
    countClaim('nothing is owed in the end', owed === 0, `${owed} owed`),
    countClaim('nothing is counted twice', more <= announced(parts), `${more} too many`),
    countClaim('nothing is uncertain', uncertain === 0, `${uncertain} checks`),
    countClaim(
      keeps ? 'what was admitted is settled' : 'what living nodes hold is restored',
      less <= lost,
      `${less} missing${killed.length > 0 ? `, of ${lost} that killed nodes owed` : ''}`,
    ),
  ]
  if (ended.length === 0) {
    const booked = sum(Object.values(inStore).map((count) => count.booked))
    claims.push(countClaim('unused quota goes back', booked === 0, `${booked} did not`))
  }
  if (!books && keeps && evidence.scene.outage === 'none') claims.push(softBound(track, parts, inStore))
  return claims
}

/** U ≤ L + Σ over all nodes but the one with the smallest term of min(a, L). */
function softBound(track: Track, parts: readonly NodeTrack[], inStore: Record<string, Count>): Claim {
  let tightest = Infinity
  let worst = ''
  for (const key of Object.keys(inStore)) {
    const tallies = parts.flatMap(({ tally }) => tally.keys[key] ?? [])
    const terms = tallies
      .map(({ most, offered }) => Math.min(most || offered, track.limit))
      .sort((a, b) => a - b)
    const bound = track.limit + sum(terms.slice(1))
    const used = sum(tallies.map(({ counted }) => counted))
    if (bound - used >= tightest) continue
    tightest = bound - used
    worst = `${used} of at most ${bound}`
  }
  return claim('soft mode keeps its bound', tightest >= 0, worst)
}

/** For windows that end meanwhile: what was admitted is in the store, or counted as expired. */
function windowClaims(track: Track, keeps: boolean, parts: readonly NodeTrack[]): Claim[] {
  const living = parts.filter(({ killed }) => !killed).map(({ tally }) => tally)
  const admitted = living.map(({ keys }) => sum(Object.values(keys).map(({ counted }) => counted)))
  const missing = living.map(
    ({ acknowledged, expired, pending }, place) =>
      (admitted[place] as number) - acknowledged - expired - pending,
  )
  const twice = living.map(({ acknowledged }, place) => acknowledged - (admitted[place] as number))
  const windows = addUp(parts.map(({ tally }) => tally.windows))
  const most = Math.max(0, ...Object.values(windows))
  const bound = strictBound(track) ?? Infinity
  return [
    ...(bound < Infinity && keeps
      ? [countClaim(`never above ${bound} in any window`, most <= bound, `at most ${most}`)]
      : []),
    countClaim(
      'what was admitted is settled in its window, or counted as expired',
      missing.every((cost) => cost <= 0),
      `${Math.max(0, ...missing)} missing`,
    ),
    countClaim(
      'nothing is counted twice',
      twice.every((cost) => cost <= 0),
      `${Math.max(0, ...twice)} too many`,
    ),
  ]
}

function addUp<R extends Partial<Record<string, number>>>(records: readonly R[]): R {
  const total: Partial<Record<string, number>> = {}
  for (const record of records)
    for (const [name, count] of Object.entries(record)) total[name] = (total[name] ?? 0) + (count ?? 0)
  return total as R
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
