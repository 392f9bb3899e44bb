import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import {
  createLimiter,
  fixedWindow,
  type HardLimiter,
  type SoftLimiter,
  type Store,
  systemClock,
} from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { limiterOptions } from '../variants.ts'
import type { NodeReport, Order } from './fleet.ts'

// A node of a fleet of real processes: for each order on its standard input it offers checks at a steady rate, and
// reports on its standard output how they were decided.

const WINDOW = '365d'
/** Milliseconds between two looks at how many checks are due. */
const PACE = 4

const { url, shift } = JSON.parse(process.argv[2] as string) as { url: string; shift: number }

/** The clock of a machine whose wall clock is wrong. */
const clock = { ...systemClock, wall: () => systemClock.wall() + shift }

/** The store; measures the longest time from one command being sent to the next one's reply. */
class WatchedStore implements Store {
  private readonly inner = redisStore(url, { clock })
  private readonly sent: number[] = []
  stretch = 0

  open(...call: Parameters<Store['open']>): ReturnType<Store['open']> {
    const table = this.inner.open(...call)
    return {
      get known() {
        return table.known
      },
      now: () => table.now(),
      latest: () => table.latest(),
      exchange: async (request) => {
        const before = this.sent.at(-1) ?? clock.monotonic()
        this.sent.push(clock.monotonic())
        const reply = await table.exchange(request)
        this.stretch = Math.max(this.stretch, clock.monotonic() - before)
        return reply
      },
    }
  }

  close(): Promise<void> {
    return this.inner.close()
  }
}

/** The most checks that were offered in any stretch of this many milliseconds. */
function most(offers: readonly number[], stretch: number): number {
  let found = 0
  for (let first = 0, last = 0; last < offers.length; last++) {
    while ((offers[last] as number) - (offers[first] as number) > stretch) first++
    found = Math.max(found, last - first + 1)
  }
  return found
}

async function follow(order: Order): Promise<NodeReport> {
  const store = new WatchedStore()
  const make = (variant: Order['turns'][number]['variant']) =>
    createLimiter({
      ...{ name: order.name, limit: fixedWindow({ limit: order.limit, window: WINDOW }), store, clock },
      ...{ timeout: '5s', ...limiterOptions(variant, order.interval) },
    }) as HardLimiter | SoftLimiter
  const report: NodeReport = { turns: [], pending: 0 }
  let variant = order.turns[0]?.variant as Order['turns'][number]['variant']
  let limiter = make(variant)
  const offered: number[][] = []
  for (const turn of order.turns) {
    if (turn.variant !== variant) {
      await limiter.close()
      variant = turn.variant
      limiter = make(variant)
    }
    const waits = variant !== 'soft'
    const offers: number[] = []
    const answers: Promise<unknown>[] = []
    let admitted = 0
    const count = ({ allowed }: { allowed: boolean }) => {
      if (allowed) admitted++
    }
    const begin = clock.monotonic()
    while (offers.length < turn.checks) {
      while (
        offers.length < turn.checks &&
        offers.length < ((clock.monotonic() - begin) * turn.rate) / 1000
      ) {
        offers.push(clock.monotonic())
        if (waits) answers.push(limiter.check(turn.key).then(count))
        else count((limiter as SoftLimiter).checkSync(turn.key))
      }
      await wait(PACE)
    }
    await Promise.all(answers)
    offered.push(offers)
    report.turns.push({ admitted, most: 0 })
  }
  await limiter.close()
  report.pending = limiter.stats().pending
  for (const [place, offers] of offered.entries())
    (report.turns[place] as { most: number }).most = most(offers, store.stretch)
  await store.close()
  return report
}

process.stdout.write('ready\n')
for await (const line of createInterface(process.stdin)) {
  const report = await follow(JSON.parse(line) as Order)
  if (!process.stdout.write(`${JSON.stringify(report)}\n`)) await once(process.stdout, 'drain')
}
