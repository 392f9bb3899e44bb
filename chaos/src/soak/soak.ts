import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Fault } from '../fault.ts'
import { networkFaults } from '../faults/network.ts'
import { nodeFaults } from '../faults/node.ts'
import { serverFaults } from '../faults/server.ts'
import { judge } from '../judge.ts'
import type { Round } from '../measured.ts'
import { Network } from '../network.ts'
import { EventLoop } from '../node/event-loop.ts'
import { type Counts, type Job, limiterName, type Target, type Track } from '../node/job.ts'
import { NodeProcess } from '../node-process.ts'
import type { Program } from '../program.ts'
import { Server } from '../server.ts'
import { keysOf, type NodeRecord, settle, untilRecovered } from '../under-load.ts'
import { Watch } from './watch.ts'

const NODES = 3
const TIMEOUT = 200
const INTERVAL = 200
const LEAD = 3000
/** Milliseconds without load until nothing is under way and unused booked quota has gone back. */
const QUIET = TIMEOUT + 4 * INTERVAL

/** Faults after which everything must add up to the last unit, and which leave the server and its options as they were. */
export const soakFaults: readonly Fault[] = [...serverFaults, ...networkFaults, ...nodeFaults].filter(
  ({ keeps, serverArgs, nodes }) => keeps && serverArgs === undefined && nodes === undefined,
)

export interface SoakOptions {
  readonly minutes: number
  /** Seconds from one fault to the next. */
  readonly every: number
  readonly seed: number
  /** The faults that may happen; some of `soakFaults`. */
  readonly faults: readonly Fault[]
  readonly tracks: readonly Track[]
  readonly program: Program
  onRound(round: Round): void
}

/** Keeps the same limiters under load, lets a random fault happen every so often, and judges after each. */
export async function soak(options: SoakOptions): Promise<void> {
  const { minutes, every, seed, faults, tracks, program, onRound } = options
  const folder = await mkdtemp(join(tmpdir(), 'spillway-soak-'))
  const random = xoroshiro128plus(seed)
  const server = await Server.start()
  const network = await Network.start(server.port)
  const loop = new EventLoop()
  const nodes: NodeProcess[] = []
  const started: NodeProcess[] = []
  const load = { steadyRate: 30, steadyKeys: 3, steadyFor: 20_000, hotRate: 80, hotCost: 25, hotFor: 500 }
  const run = 'soak'
  let counted: Counts = {}
  const addNode = async () => {
    const node = await NodeProcess.start(program)
    started.push(node)
    nodes.push(node)
    const job: Job = {
      ...{ run, tracks, load, timeout: TIMEOUT, interval: INTERVAL },
      target: on(network.port),
      journal: join(folder, `${started.length}.json`),
    }
    await node.begin(job)
    await node.load(true)
    return node
  }
  try {
    const auditor = await NodeProcess.start(program)
    const watcher = await NodeProcess.start(program)
    started.push(auditor, watcher)
    for (let node = 0; node < NODES; node++) await addNode()
    const begun = performance.now()
    while (performance.now() - begun < minutes * 60_000) {
      const roundBegun = performance.now()
      const fault = faults[uniformInt(random, 0, faults.length - 1)] as Fault
      await all(nodes, (node) => node.enter('before'))
      const before = new Map(await all(nodes, async (node) => [node, await node.resources()] as const))
      await all(nodes, (node) => node.load(true))
      const watch = new Watch({ auditor: watcher, target: on(server.port), run, tracks, load })
      await delay(LEAD)
      await all(nodes, (node) => node.enter('during'))
      loop.restart()
      const limiters = tracks.map(({ label }) => limiterName(run, label))
      await fault.run({ server, network, nodes, addNode, wait: delay, limiters })
      const mended = performance.now()
      const living = nodes.filter((node) => node.alive)
      await all(living, (node) => node.enter('after'))
      const recovered = await untilRecovered(living)
      const recoveredAfter = recovered ? performance.now() - mended : undefined
      await delay(Math.max(LEAD, every * 1000 - (performance.now() - roundBegun)))

      await all(living, (node) => node.load(false))
      const watched = await watch.end()
      await delay(QUIET)
      await all(living, settle)
      const after = new Map(await all(living, async (node) => [node, await node.resources()] as const))
      await all(living, (node) => node.report())
      const records = nodes.map((node): NodeRecord => {
        const was = before.get(node)
        const is = after.get(node)
        const { killed, exitCode } = node
        return {
          journal: node.read(),
          killed,
          exitCode,
          ...(was && is && { quiet: { before: was, after: is } }),
        }
      })
      const total = await auditor.audit({
        target: on(server.port),
        limiters: tracks.map(({ label, window }) => ({
          name: limiterName(run, label),
          window,
          keys: keysOf(records, label),
        })),
      })
      const counts = since(counted, total)
      counted = total
      const measured = { recoveredAfter, load, timeout: TIMEOUT, heldUp: loop.heldUp }
      const evidence = {
        scene: { ...fault, run: async () => {} },
        tracks,
        run,
        nodes: records,
        counts,
        ...measured,
      }
      onRound({
        second: Math.round((roundBegun - begun) / 1000),
        fault: fault.name,
        verdict: judge(evidence, [watched]),
        heapMb: [...after.values()].map(({ heapMb }) => Math.round(heapMb * 10) / 10),
      })
      nodes.splice(0, nodes.length, ...living)
      await all(nodes, (node) => node.clear())
      while (nodes.length < NODES) await addNode()
    }
  } finally {
    loop.stop()
    await Promise.all(started.map((node) => node.stop()))
    await network.close()
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** What was counted since an earlier audit: a key may be used in more than one round. */
function since(earlier: Counts, now: Counts): Counts {
  return Object.fromEntries(
    Object.entries(now).map(([name, keys]) => {
      const counts = Object.entries(keys).map(([key, { counted, booked }]) => {
        const before = earlier[name]?.[key] ?? { counted: 0, booked: 0 }
        return [key, { counted: counted - before.counted, booked: booked - before.booked }]
      })
      return [name, Object.fromEntries(counts)]
    }),
  )
}

function all<T>(nodes: readonly NodeProcess[], act: (node: NodeProcess) => Promise<T>): Promise<T[]> {
  return Promise.all(nodes.map(act))
}

function on(port: number): Target {
  return { how: 'redis', client: 'ioredis', addresses: [{ host: '127.0.0.1', port }] }
}
