import { redisStore } from '@spillway/core/redis'
import { audit } from './audit.ts'
import { connect } from './connect.ts'
import { EventLoop } from './event-loop.ts'
import type { Answer, Job, Journal, Order, Resources, Staleness } from './job.ts'
import { JournalFile } from './journal-file.ts'
import { LoadGenerator, type Offer } from './load.ts'
import { ShiftedClock } from './shifted-clock.ts'
import { TrackRunner } from './track-runner.ts'

// A node of the suite: a process that runs each track's limiter under load, as its parent orders.

/** Milliseconds to wait for checks that are under way at the end. */
const ANSWERED_WITHIN = 2000

const loop = new EventLoop()
const clock = new ShiftedClock()
const accidents: string[] = []
const note = (what: string) => (error: unknown) =>
  accidents.push(`${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
process.on('unhandledRejection', note('unhandled rejection'))
process.on('uncaughtException', note('uncaught exception'))
process.on('warning', (warning) => {
  if (warning.name !== 'ExperimentalWarning') note('warning')(warning)
})

class Running {
  readonly tracks: TrackRunner[]
  readonly load: LoadGenerator
  private readonly journal: JournalFile

  private constructor(
    job: Job,
    private readonly stores: ReturnType<typeof redisStore>[],
    private readonly clients: { disconnect(): void }[],
  ) {
    this.journal = new JournalFile(job.journal)
    this.tracks = job.tracks.map(
      (track, place) => new TrackRunner(track, job, stores[place] as (typeof stores)[0], loop, clock),
    )
    this.load = new LoadGenerator(job.load, (offers) => this.offer(offers))
    this.write(false)
  }

  static async start(job: Job): Promise<Running> {
    const targets = await Promise.all(job.tracks.map(() => connect(job.target)))
    const stores = targets.map((target) => redisStore(target, { clock }))
    return new Running(
      job,
      stores,
      targets.filter((target) => typeof target !== 'string'),
    )
  }

  private offer(offers: readonly Offer[]): void {
    for (const track of this.tracks) {
      for (const { key, cost } of offers) track.announce(key, cost)
      track.refresh()
    }
    this.write(false)
    for (const { key, cost } of offers) for (const track of this.tracks) track.offer(key, cost)
  }

  write(closed: boolean): void {
    for (const track of this.tracks) track.refresh()
    const journal: Journal = {
      pid: process.pid,
      tracks: this.tracks.map(({ tally }) => tally),
      accidents,
      heldUp: loop.heldUp,
      closed,
    }
    this.journal.write(journal)
  }

  async end(staleness: readonly Staleness[] = []): Promise<void> {
    this.load.stop()
    await Promise.all(this.tracks.map((track) => track.close()))
    // Whoever closes a limiter while checks are under way still gets their answers.
    const deadline = performance.now() + ANSWERED_WITHIN
    while (this.tracks.some(({ tally }) => tally.open > 0) && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 10))
    for (const [place, stretch] of staleness.entries()) this.tracks[place]?.measureOffers(stretch)
    this.write(true)
    this.journal.close()
    await Promise.all(this.stores.map((store) => store.close()))
    for (const client of this.clients) client.disconnect()
  }
}

let running: Running | undefined

function resources(): Resources {
  ;(globalThis as { gc?: () => void }).gc?.()
  const active = process.getActiveResourcesInfo()
  return {
    heapMb: process.memoryUsage().heapUsed / 2 ** 20,
    timers: active.filter((kind) => kind === 'Timeout').length,
    sockets: active.filter((kind) => /^T(CP|LS)/.test(kind)).length,
  }
}

function block(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

async function obey(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'begin':
      running = await Running.start(order.job)
      return
    case 'load':
      if (order.on) running?.load.start()
      else running?.load.stop()
      return
    case 'phase':
      for (const track of running?.tracks ?? []) track.enter(order.phase)
      if (order.phase === 'during') loop.restart()
      return
    case 'jump':
      clock.shift += order.ms
      return
    case 'block':
      block(order.ms)
      return
    case 'resources':
      return resources()
    case 'version':
      return process.version
    case 'flush':
      await Promise.all((running?.tracks ?? []).map((track) => track.flush()))
      return
    case 'clear':
      for (const track of running?.tracks ?? []) track.clear()
      running?.write(false)
      return
    case 'audit':
      return audit(order.audit)
    case 'report':
      running?.write(false)
      return
    case 'end':
      await running?.end(order.staleness)
      running = undefined
      return
  }
}

process.on('message', ({ id, order }: { id: number; order: Order }) => {
  const answer = (message: Answer) => process.connected && process.send?.(message)
  obey(order).then(
    (value) => answer({ id, value }),
    (error: Error) => answer({ id, error: error.stack ?? error.message }),
  )
})
process.on('disconnect', () => process.exit())
process.on('SIGTERM', async () => {
  await running?.end()
  process.exit()
})
process.on('SIGINT', () => {})
process.send?.('ready')
