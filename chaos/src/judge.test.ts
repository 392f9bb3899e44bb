import { expect, test } from 'vitest'
import { judge } from './judge.ts'
import type { KeyTally, PhaseTally, Track, TrackTally } from './node/job.ts'
import type { Evidence } from './under-load.ts'

// A judge that lets everything pass would prove nothing.

const hard: Track = { label: 'hard', mode: 'hard', onOutage: 'deny', limit: 100, window: 1e10 }
const soft: Track = { label: 'soft', mode: 'soft', onOutage: 'local', limit: 100, window: 1e10 }
const leasedShort: Track = { label: 'leased', mode: 'leased', onOutage: 'deny', limit: 100, window: 1000 }
const short: Track = { label: 'short', mode: 'soft', onOutage: 'local', limit: 100, window: 1000 }

function phase(): PhaseTally {
  return {
    ...{ checks: 1, admitted: 1, admittedInOutage: 0, denied: {}, thrown: {} },
    ...{ storeCalls: 1, unanswered: 0, longest: 1 },
  }
}

function tally(track: Track, key: Partial<KeyTally>, changes: Partial<TrackTally> = {}): TrackTally {
  return {
    ...{ label: track.label, longest: 1, longestExcess: -1, open: 0, mostOpen: 1, degraded: 0, recovered: 0 },
    ...{ pending: 0, expired: 0, uncertain: 0, isDegraded: false, held: 1, storeCalls: 1, storeEntries: 1 },
    ...{ acknowledged: 50, windows: { 'key 1': 50 }, staleness: { key: 1 } },
    keys: { key: { offered: 60, counted: 50, outage: 0, most: 10, ...key } },
    phases: { before: phase(), during: phase(), after: phase() },
    ...changes,
  }
}

interface Story {
  readonly track?: Track
  readonly key?: Partial<KeyTally>
  readonly tally?: Partial<TrackTally>
  readonly count?: number
  readonly booked?: number
  readonly keeps?: boolean
  readonly outage?: 'away' | 'none'
  readonly accidents?: string[]
  readonly growthMb?: number
  readonly recovered?: boolean
  readonly heldUp?: number
}

function evidence(story: Story): Evidence {
  const track = story.track ?? hard
  const { keeps = true, outage = 'none', accidents = [], growthMb = 0, recovered = true, heldUp = 0 } = story
  const journal = {
    ...{ pid: 1, accidents, heldUp: 0, closed: true },
    tracks: [tally(track, story.key ?? {}, story.tally)],
  }
  const before = { heapMb: 10, timers: 1, sockets: 1 }
  const quiet = { before, after: { ...before, heapMb: 10 + growthMb } }
  return {
    scene: { name: 'scene', title: 'Scene', keeps, outage, run: async () => {} },
    ...{ tracks: [track], run: 'scene', timeout: 200, heldUp },
    nodes: [{ journal, killed: false, exitCode: null, quiet }],
    counts: { [`scene:${track.label}`]: { key: { counted: story.count ?? 50, booked: story.booked ?? 0 } } },
    recoveredAfter: recovered ? 1 : undefined,
    load: { steadyRate: 1, steadyKeys: 1, steadyFor: 1, hotRate: 1, hotCost: 25, hotFor: 1 },
  }
}

test('finds nothing where all is well', () => {
  for (const track of [hard, soft, short, leasedShort]) expect(judge(evidence({ track })).holds).toBe(true)
})

test.each<[string, Story]>([
  ['an admission of hard mode that is not in the store', { count: 49 }],
  ['an admission of hard mode that is counted twice', { count: 51 }],
  ['hard mode above its limit', { key: { counted: 101 }, count: 101 }],
  ['a soft settlement that is lost', { track: soft, count: 49 }],
  ['a soft settlement that is counted twice', { track: soft, count: 51 }],
  ['quota that did not go back', { track: soft, booked: 1 }],
  ['a local check that is uncertain', { track: soft, tally: { uncertain: 1 } }],
  ['a soft settlement that is lost with data', { track: soft, count: 49, keeps: false }],
  ['soft mode above its bound', { track: soft, key: { counted: 101, most: 50 }, count: 101 }],
  ['something that is still owed', { track: soft, tally: { pending: 1 } }],
  [
    'what was admitted in a window and is neither settled nor expired',
    { track: short, tally: { acknowledged: 49 } },
  ],
  ['what was settled twice in a window', { track: short, tally: { acknowledged: 51 } }],
  [
    'leased mode above its limit in a window',
    { track: leasedShort, tally: { windows: { 'key 1': 101, 'key 2': 1 } } },
  ],
  ['a check that takes too long', { tally: { longestExcess: 51 } }],
  ['a check that is never answered', { tally: { open: 1 } }],
  ['an outage where there is none', { tally: { degraded: 1, recovered: 1 } }],
  ['an outage that is not told', { outage: 'away' }],
  ['an unhandled rejection', { accidents: ['unhandled rejection: Error'] }],
  ['memory that stays', { growthMb: 17 }],
  ['a node that does not come back', { recovered: false }],
])('finds %s', (_, story) => {
  expect(judge(evidence(story)).holds).toBe(false)
})

test('a machine that holds its processes up makes outages of its own', () => {
  const told = { degraded: 1, recovered: 1 }
  expect(judge(evidence({ tally: told, heldUp: 100 })).holds).toBe(false)
  expect(judge(evidence({ tally: told, heldUp: 101 })).holds).toBe(true)
  expect(judge(evidence({ tally: { degraded: 1 }, heldUp: 101 })).holds).toBe(false)
})

test('what hard mode may have counted must be told as uncertain', () => {
  expect(judge(evidence({ count: 75, tally: { uncertain: 1 } })).holds).toBe(true)
  expect(judge(evidence({ count: 76, tally: { uncertain: 1 } })).holds).toBe(false)
})

test('onOutage must do what it says', () => {
  const during = (changes: Partial<PhaseTally>) => ({
    before: phase(),
    during: { ...phase(), ...changes },
    after: phase(),
  })
  const told = { degraded: 1, recovered: 1 }
  const denied = { ...told, phases: during({ denied: { outage: 1 }, unanswered: 1 }) }
  expect(judge(evidence({ outage: 'away', tally: denied })).holds).toBe(true)
  const passed = { ...told, phases: during({ denied: { outage: 1 }, admittedInOutage: 1 }) }
  expect(judge(evidence({ outage: 'away', tally: passed })).holds).toBe(false)
  const commands = (unanswered: number) => ({
    ...told,
    phases: during({ denied: { outage: 1 }, storeCalls: 60, unanswered }),
  })
  expect(judge(evidence({ outage: 'away', tally: commands(30) })).holds).toBe(true)
  expect(judge(evidence({ outage: 'away', tally: commands(31) })).holds).toBe(false)
  const calls = (storeCalls: number) => ({ ...denied.phases, after: { ...phase(), storeCalls } })
  const calm = { ...denied, phases: calls(102) }
  expect(judge(evidence({ outage: 'away', tally: calm })).holds).toBe(true)
  const stampede = { ...denied, phases: calls(103) }
  expect(judge(evidence({ outage: 'away', tally: stampede })).holds).toBe(false)
  // Before the nodes were told that the fault is over.
  const early = { ...told, phases: during({ denied: { outage: 1 }, storeCalls: 132, unanswered: 30 }) }
  expect(judge(evidence({ outage: 'away', tally: early })).holds).toBe(false)
})
