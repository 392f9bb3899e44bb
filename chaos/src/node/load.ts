import type { Load } from './job.ts'

const TICK = 10
/** After the event loop was blocked, at most this much of the missed load is caught up on; ms. */
const MOST_MISSED = 200

export interface Offer {
  readonly key: string
  readonly cost: number
}

/** The keys to check at a time in ms: by the machine's clock, so that all nodes check the same. */
export function keysAt(
  { steadyKeys, steadyFor, hotFor }: Load,
  time: number,
): { steady: string[]; hot: string } {
  const steady = Math.floor(time / steadyFor)
  return {
    steady: Array.from({ length: steadyKeys }, (_, place) => `steady-${steady}-${place}`),
    hot: `hot-${Math.floor(time / hotFor)}`,
  }
}

/** Offers checks at a steady rate, whatever becomes of them. */
export class LoadGenerator {
  private timer: NodeJS.Timeout | undefined
  private last = 0
  private steadyDue = 0
  private hotDue = 0
  private turn = 0

  constructor(
    private readonly load: Load,
    private readonly offer: (offers: readonly Offer[]) => void,
  ) {}

  start(): void {
    this.last = performance.now()
    this.timer ??= setInterval(() => this.tick(), TICK)
  }

  stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  private tick(): void {
    const { steadyRate, hotRate, hotCost } = this.load
    const now = performance.now()
    const elapsed = Math.min(now - this.last, MOST_MISSED)
    this.last = now
    this.steadyDue += (elapsed * steadyRate) / 1000
    this.hotDue += (elapsed * hotRate) / 1000
    const offers: Offer[] = []
    const { steady, hot } = keysAt(this.load, Date.now())
    for (; this.steadyDue >= 1; this.steadyDue--)
      offers.push({ key: steady[this.turn++ % steady.length] as string, cost: 1 })
    for (; this.hotDue >= 1; this.hotDue--) offers.push({ key: hot, cost: hotCost })
    if (offers.length > 0) this.offer(offers)
  }
}
