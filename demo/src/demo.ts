import { randomUUID } from 'node:crypto'
import { readAccessLog } from './access-log.ts'
import type { Options } from './arguments.ts'
import { type Defer, type Fleet, openFleet } from './fleet.ts'
import { limitsFor } from './limits.ts'
import { Progress } from './progress.ts'
import { type Job, type Mode, softIntervalMs, type Tally } from './replay.ts'
import { type Row, summarise } from './result.ts'
import { schedule } from './schedule.ts'
import { readShippedTrace } from './shipped-trace.ts'
import { requestsByClient } from './trace.ts'
import { insideOneWindow, window } from './window.ts'

/** All that the demo has to say. */
export interface Result {
  store: { kind: 'memory' | 'redis'; description: string }
  nodes: number
  seed: number
  trace: { source: string; requests: number; clients: number; skipped: number; cutShort: boolean }
  /** Seconds that each replay took, and how many seconds of the trace passed in each. */
  seconds: number
  speed: number
  window: string
  softIntervalMs: number
  /** For each mode, one row for each limit. */
  rows: Row[]
}

/** Time left in the window that a replay needs beyond its own length: nodes get ready, and settle afterwards. */
const roomMs = 8_000
/** How much longer than planned a replay may take on a busy machine before the demo gives up on it. */
const graceMs = 20_000

/** Replays the same requests in each mode, over the nodes that the options ask for. */
export async function runDemo(options: Options, defer: Defer): Promise<Result> {
  const { nodes, seed, seconds } = options
  const trace = options.log === undefined ? await readShippedTrace() : await readAccessLog(options.log)
  const { shares, speed } = schedule(trace.requests, options)
  const limits = limitsFor(trace.requests)
  const fleet = await openFleet(options, defer)
  const rows: Row[] = []
  for (const mode of ['hard', 'soft'] satisfies Mode[]) {
    const run = `${mode}-${randomUUID()}`
    const jobs = shares.map((share) => ({ mode, limits, window, run, share }))
    const tallies = await insideOneWindow(fleet.store, seconds * 1000 + roomMs, () =>
      within(seconds * 1000 + graceMs, replay(fleet, jobs, new Progress(mode, trace.requests.length))),
    )
    rows.push(
      ...limits.map((limit, index) =>
        summarise(
          mode,
          limit,
          tallies.map((tally) => tally[index]!),
        ),
      ),
    )
  }
  return {
    store: { kind: fleet.kind, description: fleet.description },
    nodes,
    seed,
    trace: {
      source: trace.source,
      requests: trace.requests.length,
      clients: requestsByClient(trace.requests).size,
      skipped: trace.skipped,
      cutShort: trace.cutShort,
    },
    seconds,
    speed,
    window,
    softIntervalMs,
    rows,
  }
}

/** What each node saw of each limit. No node starts before all are ready. */
async function replay({ nodes }: Fleet, jobs: readonly Job[], progress: Progress): Promise<Tally[][]> {
  await Promise.all(nodes.map((node, index) => node.prepare(jobs[index]!)))
  return Promise.all(nodes.map((node) => node.replay((requests) => progress.serve(requests))))
}

/** A node that hangs would otherwise hang the demo. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the nodes did not finish within ${ms / 1000} s`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
