import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Fault } from './fault.ts'
import { Network } from './network.ts'
import {
  type Counts,
  type Journal,
  type Load,
  limiterName,
  type Resources,
  type Target,
  type Track,
} from './node/job.ts'
import { NodeProcess } from './node-process.ts'
import type { Program } from './program.ts'
import { Server } from './server.ts'

export const TIMEOUT = 100
export const INTERVAL = 200
const BEFORE = 1500
const AFTER = 1500
/** The longest until every node has noticed that the store is back: the longest wait for a probe, and some. */
const RECOVERY = 15_000
const NODES = 3

const load: Load = { steadyRate: 30, steadyKeys: 3, hotRate: 80, hotCost: 25, hotFor: 500 }

/** What one node has done, and what it held in the quiet before the fault and after it. */
export interface NodeRecord {
  readonly journal: Journal
  readonly killed: boolean
  readonly exitCode: number | null
  readonly quiet?: { readonly before: Resources; readonly after: Resources }
}

export interface Evidence {
  readonly fault: Fault
  readonly tracks: readonly Track[]
  readonly run: string
  readonly nodes: readonly NodeRecord[]
  readonly counts: Counts
  /** Milliseconds from the fault's end until every node had noticed, or undefined where one did not. */
  readonly recoveredAfter: number | undefined
  readonly load: Load
  readonly timeout: number
}

/** Breaks a Redis, its network or its nodes under load, and gathers what everyone says of it. */
export async function runFault(fault: Fault, tracks: readonly Track[], program: Program): Promise<Evidence> {
  const folder = await mkdtemp(join(tmpdir(), 'spillway-journals-'))
  const server = await Server.start(fault.serverArgs)
  const network = await Network.start(server.port)
  const run = fault.name
  const nodes: NodeProcess[] = []
  const quietBefore = new Map<NodeProcess, Resources>()
  const through = (port: number): Target => ({
    how: 'redis',
    client: 'ioredis',
    addresses: [{ host: '127.0.0.1', port }],
  })
  const prepared = async () => {
    const node = await NodeProcess.start(program)
    nodes.push(node)
    const journal = join(folder, `${nodes.length}.json`)
    await node.begin({
      run,
      tracks,
      load,
      target: through(network.port),
      timeout: TIMEOUT,
      interval: INTERVAL,
      journal,
    })
    return node
  }
  const addNode = async () => {
    const node = await prepared()
    await node.load(true)
    return node
  }
  try {
    await allOf(Array.from({ length: fault.nodes ?? NODES }, prepared))
    const first = [...nodes]
    await Promise.all(first.map((node) => node.load(true)))
    await delay(BEFORE)
    await Promise.all(first.map((node) => node.load(false)))
    await delay(2 * TIMEOUT)
    for (const node of first) quietBefore.set(node, await node.resources())
    await Promise.all(first.map((node) => node.load(true)))
    await delay(200)
    await Promise.all(first.map((node) => node.enter('during')))
    const limiters = tracks.map(({ label }) => limiterName(run, label))
    await fault.run({ server, network, nodes, addNode, wait: delay, limiters })
    const mended = performance.now()
    const living = nodes.filter((node) => node.alive)
    await Promise.all(living.map((node) => node.enter('after')))
    const recovered = await untilRecovered(living)
    const recoveredAfter = recovered ? performance.now() - mended : undefined
    await delay(AFTER)
    await Promise.all(living.map((node) => node.load(false)))
    await delay(2 * TIMEOUT + INTERVAL)
    await Promise.all(living.map((node) => node.flush().catch(() => {})))
    const quietAfter = new Map<NodeProcess, Resources>()
    for (const node of living) quietAfter.set(node, await node.resources())
    await Promise.all(living.map((node) => node.end()))

    const records = nodes.map((node): NodeRecord => {
      const before = quietBefore.get(node)
      const after = quietAfter.get(node)
      const quiet = before && after ? { before, after } : undefined
      const { killed, exitCode } = node
      return { journal: node.read(), killed, exitCode, ...(quiet && { quiet }) }
    })
    const auditor = await NodeProcess.start(program)
    nodes.push(auditor)
    const counts = await auditor.audit({
      target: through(server.port),
      limiters: tracks.map(({ label, window }) => ({
        name: limiterName(run, label),
        window,
        keys: keysOf(records, label),
      })),
    })
    return { fault, tracks, run, nodes: records, counts, recoveredAfter, load, timeout: TIMEOUT }
  } finally {
    await Promise.all(nodes.map((node) => node.stop()))
    await network.close()
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Also where one fails, the others have ended: what they started is known. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}

async function untilRecovered(nodes: readonly NodeProcess[]): Promise<boolean> {
  const deadline = performance.now() + RECOVERY
  while (performance.now() < deadline) {
    const journals = await Promise.all(nodes.map((node) => node.report()))
    if (journals.every(({ tracks }) => tracks.every(({ isDegraded }) => !isDegraded))) return true
    await delay(50)
  }
  return false
}

function keysOf(records: readonly NodeRecord[], label: string): string[] {
  const keys = records.flatMap(({ journal }) =>
    Object.keys(journal.tracks.find((track) => track.label === label)?.keys ?? {}),
  )
  return [...new Set(keys)]
}
