import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Scene } from './fault.ts'
import { EventLoop } from './node/event-loop.ts'
import {
  type Counts,
  type Journal,
  type Load,
  limiterName,
  type Resources,
  type Staleness,
  type Target,
  type Track,
} from './node/job.ts'
import { NodeProcess } from './node-process.ts'
import type { Program } from './program.ts'

const TIMEOUT = 200
const INTERVAL = 200
/** Milliseconds of load before the fault, and after everyone has noticed its end. */
const LEAD = 1500
/** The longest wait for nodes to notice that the store is back, and to settle. */
const RECOVERY = 45_000
const STEADY_RATE = 30
const HOT_RATE = 80
const NODES = 3

/** What one node has done, and what it held in the quiet before the fault and after it. */
export interface NodeRecord {
  readonly journal: Journal
  readonly killed: boolean
  readonly exitCode: number | null
  readonly quiet?: { readonly before: Resources; readonly after: Resources }
}

export interface Evidence {
  readonly scene: Scene
  readonly tracks: readonly Track[]
  readonly run: string
  readonly nodes: readonly NodeRecord[]
  readonly counts: Counts
  /** Milliseconds from the fault's end until every node had noticed, or undefined if one did not. */
  readonly recoveredAfter: number | undefined
  readonly load: Load
  readonly timeout: number
  /** The most that this process, which runs the network, was held up during the fault and after it; ms. */
  readonly heldUp: number
}

/** Where the nodes run, and how they and the auditor reach Redis. */
export interface Place {
  readonly program: Program
  /** How the nodes reach Redis, through what may break. */
  readonly target: Target
  /** How the auditor reaches it, past all that may break. */
  readonly direct: Target
  /** What the limiters' names begin with; default the scene's name. */
  readonly run?: string
  /** Milliseconds of load before and after the fault. */
  readonly lead?: number
  /** Nodes that run already, to be used again; they stay. */
  readonly pool?: { readonly nodes: readonly NodeProcess[]; readonly auditor: NodeProcess }
}

/** Lets something break under load, and gathers the evidence of all nodes. */
export async function underLoad(scene: Scene, tracks: readonly Track[], place: Place): Promise<Evidence> {
  const { program, target, direct, run = scene.name, lead = LEAD, pool } = place
  const folder = await mkdtemp(join(tmpdir(), 'spillway-journals-'))
  const share = scene.share ?? 1
  const rates = { steadyRate: share * STEADY_RATE, hotRate: share * HOT_RATE }
  const load: Load = { ...rates, steadyKeys: 3, steadyFor: 20_000, hotCost: 25, hotFor: 500 }
  const nodes: NodeProcess[] = []
  const own: NodeProcess[] = []
  const loop = new EventLoop()
  const quietBefore = new Map<NodeProcess, Resources>()
  const start = async () => {
    const node = await NodeProcess.start(program)
    own.push(node)
    return node
  }
  const prepare = async (node: NodeProcess) => {
    nodes.push(node)
    const journal = join(folder, `${nodes.length}.json`)
    await node.begin({ run, tracks, load, target, timeout: TIMEOUT, interval: INTERVAL, journal })
  }
  const addNode = async () => {
    const node = await start()
    await prepare(node)
    await node.load(true)
    return node
  }
  try {
    const first = pool ? [...pool.nodes] : await allOf(Array.from({ length: scene.nodes ?? NODES }, start))
    await allOf(first.map(prepare))
    await Promise.all(first.map((node) => node.load(true)))
    await delay(lead)
    await Promise.all(first.map((node) => node.load(false)))
    await delay(TIMEOUT + INTERVAL)
    for (const node of first) quietBefore.set(node, await node.resources())
    await Promise.all(first.map((node) => node.load(true)))
    await delay(200)
    // Processes and servers that have just started may not have answered in time, which is not the fault's doing.
    await untilRecovered(first)
    await Promise.all(first.map((node) => node.enter('during')))
    loop.restart()
    const limiters = tracks.map(({ label }) => limiterName(run, label))
    await scene.run({ nodes, addNode, limiters })
    const mended = performance.now()
    const living = nodes.filter((node) => node.alive)
    await Promise.all(living.map((node) => node.enter('after')))
    const recovered = await untilRecovered(living)
    const recoveredAfter = recovered ? performance.now() - mended : undefined
    await delay(lead)
    await Promise.all(living.map((node) => node.load(false)))
    await delay(TIMEOUT + INTERVAL)
    await Promise.all(living.map(settle))
    const quietAfter = new Map<NodeProcess, Resources>()
    for (const node of living) quietAfter.set(node, await node.resources())
    const journals = await Promise.all(living.map((node) => node.report()))
    const staleness = tracks.map((_, place) =>
      longest(journals.map((journal) => journal.tracks[place]?.staleness ?? {})),
    )
    await Promise.all(living.map((node) => node.end(staleness)))

    const records = nodes.map((node): NodeRecord => {
      const before = quietBefore.get(node)
      const after = quietAfter.get(node)
      const quiet = before && after ? { before, after } : undefined
      const { killed, exitCode } = node
      return { journal: node.read(), killed, exitCode, ...(quiet && { quiet }) }
    })
    const auditor = pool?.auditor ?? (await start())
    const counts = await auditor.audit({
      target: direct,
      limiters: tracks.map(({ label, window }) => ({
        name: limiterName(run, label),
        window,
        keys: keysOf(records, label),
      })),
    })
    const measured = { recoveredAfter, load, timeout: TIMEOUT, heldUp: loop.heldUp }
    return { scene, tracks, run, nodes: records, counts, ...measured }
  } finally {
    loop.stop()
    await Promise.all(own.map((node) => node.stop()))
    await rm(folder, { recursive: true, force: true })
  }
}

/** Waits for all even if one fails, so that what the others started is known. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}

/** Flushes until the store has acknowledged it: on a busy machine one attempt may time out. */
export async function settle(node: NodeProcess): Promise<void> {
  for (const deadline = performance.now() + RECOVERY; performance.now() < deadline; await delay(50)) {
    const settled = await node.flush().then(
      () => true,
      () => false,
    )
    if (settled) return
  }
}

/** Waits until each limiter of each node has been seen to be back with the store. */
export async function untilRecovered(nodes: readonly NodeProcess[]): Promise<boolean> {
  const away = new Map(nodes.map((node) => [node, new Set<string>()]))
  let isFirst = true
  for (const deadline = performance.now() + RECOVERY; performance.now() < deadline; await delay(50)) {
    for (const [node, labels] of away) {
      const { tracks } = await node.report()
      if (isFirst) for (const { label } of tracks) labels.add(label)
      for (const { label, isDegraded } of tracks) if (!isDegraded) labels.delete(label)
      if (labels.size === 0) away.delete(node)
    }
    isFirst = false
    if (away.size === 0) return true
  }
  return false
}

export function keysOf(records: readonly NodeRecord[], label: string): string[] {
  const keys = records.flatMap(({ journal }) =>
    Object.keys(journal.tracks.find((track) => track.label === label)?.keys ?? {}),
  )
  return [...new Set(keys)]
}

/** The longest staleness of each key. */
function longest(parts: readonly Staleness[]): Staleness {
  const most: Staleness = {}
  for (const part of parts)
    for (const [key, ms] of Object.entries(part)) most[key] = Math.max(most[key] ?? 0, ms)
  return most
}
