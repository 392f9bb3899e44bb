import { type Claim, GRACE } from '../judge.ts'
import type { HeavyLoad } from '../node/heavy-loads.ts'
import type { Figures } from '../node/meter.ts'
import type { Program } from '../program.ts'
import { Server } from '../server.ts'
import { carryOut } from './heavy-process.ts'
import type { LoadVerdict } from './load-verdict.ts'

interface LoadFault {
  readonly name: string
  /** It measures a speed, so nothing else may run beside it. */
  readonly alone: boolean
  run(program: Program): Promise<LoadVerdict>
}

interface Plan {
  readonly name: string
  readonly title: string
  readonly load: string
  readonly options: Record<string, number>
  readonly alone?: boolean
  judge(figures: Figures): Record<string, boolean>
}

const MAX_KEYS = 100_000
const KEYS = 2_000_000
/** Bytes of heap that a tracked key may take. */
const BYTES_A_KEY = 2000

const plans: readonly Plan[] = [
  {
    name: 'distinct-keys',
    title: '2 million distinct keys against `maxKeys: 100_000`',
    load: 'distinctKeys',
    options: { keys: KEYS, maxKeys: MAX_KEYS, away: 0 },
    judge: ({ offered, admitted, most, rows, heapBefore, heapAfter, expired, owed }: Figures) => ({
      'all keys are offered': offered === KEYS,
      'every admission is in the store': rows === (admitted as number) + 1 && expired === 0 && owed === 0,
      'no more keys are held than twice maxKeys': (most as number) <= 2 * MAX_KEYS,
      'memory is bounded by maxKeys':
        ((heapAfter as number) - (heapBefore as number)) * 2 ** 20 <= 2 * MAX_KEYS * BYTES_A_KEY,
    }),
  },
  {
    name: 'distinct-keys-away',
    title: '2 million distinct keys while the store is away',
    load: 'distinctKeys',
    options: { keys: KEYS, maxKeys: MAX_KEYS, away: 1 },
    judge: ({ admitted, most, rows, heapBefore, heapAfter, deniedInOutage, expired, owed }: Figures) => ({
      'nothing owed is evicted': expired === 0 && owed === 0,
      'every admission is in the store':
        (rows as number) >= (admitted as number) && (rows as number) <= (admitted as number) + 1,
      'new keys are denied at the bound': (deniedInOutage as number) >= KEYS - 2 * MAX_KEYS,
      'no more keys are held than twice maxKeys': (most as number) <= 2 * MAX_KEYS,
      'memory is bounded by maxKeys':
        ((heapAfter as number) - (heapBefore as number)) * 2 ** 20 <= 2 * MAX_KEYS * BYTES_A_KEY,
    }),
  },
  {
    name: 'one-key',
    title: 'One key at full speed',
    load: 'oneKey',
    options: { limit: 50_000, ms: 2000 },
    judge: ({ 'soft admitted': softly, 'hard admitted': hardly, ...more }: Figures) => ({
      'a single soft node admits the limit exactly': softly === 50_000 && more['soft counted'] === 50_000,
      'hard mode is never above the limit': (hardly as number) <= 50_000,
      'what hard mode admitted is counted':
        (more['hard counted'] as number) >= (hardly as number) &&
        (more['hard counted'] as number) <= (hardly as number) + (more['hard uncertain'] as number),
    }),
  },
  {
    name: 'rollover',
    title: '20,000 keys whose windows end at the same instants',
    load: 'rollover',
    options: { keys: 20_000, windows: 4, window: 2000 },
    judge: ({ owed, offered, admitted, held }: Figures) => ({
      'all are admitted in each window': offered === 80_000 && admitted === offered && held === 20_000,
      'nothing is owed in the end': owed === 0,
    }),
  },
  {
    name: 'oversized-keys',
    title: 'A flood of oversized keys',
    load: 'oversizedKeys',
    options: { checks: 5000 },
    judge: ({ offered, refused, admitted, before, after, owed }: Figures) => ({
      'every oversized key is refused': refused === 5000,
      'keys of 1,024 bytes are not': offered === 5000 && admitted === 5000 && owed === 0,
      'memory holds none of them': (after as number) - (before as number) <= 50,
    }),
  },
  {
    name: 'churn',
    title: 'An hour in which 30,000 other keys come each minute (simulated clock)',
    load: 'churn',
    options: { keysAMinute: 30_000, maxKeys: 20_000 },
    judge: ({ heapAtMinute20, heapAtMinute60, most, owed }: Figures) => ({
      'memory is flat': (heapAtMinute60 as number) <= (heapAtMinute20 as number) + 5,
      'no more keys are held than twice maxKeys': (most as number) <= 40_000,
      'nothing is owed in the end': owed === 0,
    }),
  },
  {
    name: 'restore',
    title: '100,000 keys are given back after FLUSHALL',
    load: 'restore',
    options: { keys: 100_000, interval: 200 },
    alone: true,
    judge: ({ keys, beganMs, ms }: Figures) => ({
      'it begins within an interval': (beganMs as number) <= 200 + 100,
      'at 100,000 keys a second or more':
        (keys as number) / (((ms as number) - (beganMs as number)) / 1000) >= 100_000,
    }),
  },
]

export const loadFaults: readonly LoadFault[] = plans.map((plan) => ({
  name: plan.name,
  alone: plan.alone ?? false,
  run: (program) => runLoad(plan, program),
}))

async function runLoad(plan: Plan, program: Program): Promise<LoadVerdict> {
  const { name, title, load, options, judge } = plan
  const server = await Server.start()
  try {
    let flushedAt = 0
    let beganMs = 0
    const asked = async (what: string) => {
      if (what === 'kill') await server.kill()
      if (what === 'restart') await server.restart('kept')
      if (what === 'flushall') {
        await server.admin.flushall()
        flushedAt = performance.now()
      }
      if (what === 'restored') {
        for (let rows = 0; rows < (options.keys as number); ) {
          rows = await rowsOf(server, name)
          if (performance.now() - flushedAt > 30_000)
            throw new Error(`only ${rows} keys were given back within 30 s`)
          if (rows > 1 && beganMs === 0) beganMs = performance.now() - flushedAt
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
      }
    }
    const heavy: HeavyLoad = { ...options, name, url: `redis://127.0.0.1:${server.port}` }
    const figures: Figures = { ...(await carryOut(program, load, heavy, asked)), beganMs }
    figures.rows = await rowsOf(server, name)
    for (const mode of load === 'oneKey' ? ['soft', 'hard'] : [])
      figures[`${mode} counted`] = await countOf(server, `${name}-${mode}`)
    const excesses = Object.entries(figures).filter(([what]) => what.endsWith('longestExcess'))
    const inTime = excesses.length > 0 && excesses.every(([, excess]) => excess <= GRACE)
    const claims = Object.entries({ 'no check outlasts its timeout': inTime, ...judge(figures) }).map(
      ([says, holds]): Claim => ({ says, holds, detail: JSON.stringify(figures), counts: false }),
    )
    return { name, title, figures, claims }
  } finally {
    await server.stop()
  }
}

/** The hashes in which a limiter's keys are rows. */
async function tables({ admin }: Server, name: string): Promise<string[]> {
  const keys = await admin.keys(`spillway:1:{${name}}:*`)
  return keys.filter((key) => /:\d+$/.test(key))
}

async function rowsOf(server: Server, name: string): Promise<number> {
  const lengths = await Promise.all((await tables(server, name)).map((key) => server.admin.hlen(key)))
  return lengths.reduce((sum, length) => sum + length, 0)
}

/** A fixed window's row begins with its end and its count, as doubles. */
async function countOf(server: Server, name: string): Promise<number> {
  let count = 0
  for (const table of await tables(server, name)) {
    const row = await server.admin.hgetBuffer(table, 'key')
    if (row !== null) count += row.readDoubleBE(8)
  }
  return count
}
