/** How the network between the nodes and the store behaves. May be changed at any time. */
export interface NetworkConditions {
  /** Milliseconds that a message takes one way; a function for a distribution, given numbers from 0 to 1. */
  latency: number | ((random: () => number) => number)
  /** The part of the requests that never arrive: 0 to 1. */
  requestLoss: number
  /** The part of the replies that never arrive: 0 to 1. The request was carried out. */
  replyLoss: number
  /** The part of the requests that arrive twice: 0 to 1. */
  duplication: number
  /** Whether a message may overtake an earlier one; on one TCP connection none does. */
  overtaking: boolean
}

/** A network with a round trip of a millisecond, and no faults. */
export const CALM: Readonly<NetworkConditions> = {
  latency: 0.5,
  requestLoss: 0,
  replyLoss: 0,
  duplication: 0,
  overtaking: false,
}

/** One direction between a node and the store. */
export class Way {
  private lastArrival = -Infinity

  constructor(
    private readonly conditions: Readonly<NetworkConditions>,
    private readonly random: () => number,
    private readonly now: () => number,
    /** Calls back at a time. */
    private readonly plan: (at: number, arrive: () => void) => void,
  ) {}

  /** A request: it arrives once, twice or never. */
  request(arrive: () => void): void {
    const { requestLoss, duplication } = this.conditions
    const lost = this.happens(requestLoss)
    const twice = this.happens(duplication)
    if (!lost) this.send(arrive)
    if (twice) this.send(arrive)
  }

  /** A reply: it arrives or does not. */
  reply(arrive: () => void): void {
    if (!this.happens(this.conditions.replyLoss)) this.send(arrive)
  }

  private send(arrive: () => void): void {
    const { latency, overtaking } = this.conditions
    const ms = typeof latency === 'number' ? latency : latency(this.random)
    const at = this.now() + Math.max(0, ms)
    const arrival = overtaking ? at : Math.max(at, this.lastArrival)
    this.lastArrival = arrival
    this.plan(arrival, arrive)
  }

  private happens(part: number): boolean {
    return part > 0 && this.random() < part
  }
}

/** A copy of a message, as it travels: the sender's later changes do not reach it. */
export function travelling<T>(message: T): T {
  if (Array.isArray(message)) return message.map(travelling) as T
  if (typeof message !== 'object' || message === null) return message
  return Object.fromEntries(Object.entries(message).map(([name, value]) => [name, travelling(value)])) as T
}
