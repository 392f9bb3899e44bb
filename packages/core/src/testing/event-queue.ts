/** Something that happens at a time. */
export class Event {
  cancelled = false

  constructor(
    readonly at: number,
    readonly order: number,
    readonly run: () => void,
    /** The process it happens to; undefined: the world. */
    readonly process: Process | undefined,
    /** When a paused process goes on, timers come before its other events. */
    readonly isTimer: boolean,
  ) {}
}

/** What events happen to. Those of a dead process are dropped; those of a paused one wait. */
export interface Process {
  readonly alive: boolean
  readonly paused: boolean
  /** Keeps an event until the process goes on. */
  defer(event: Event): void
}

/** Events by time; those of one time in the order in which they were planned. */
export class EventQueue {
  private readonly heap: Event[] = []
  private planned = 0

  plan(at: number, run: () => void, process?: Process, isTimer = false): Event {
    const event = new Event(at, this.planned++, run, process, isTimer)
    this.rise(event)
    return event
  }

  /** The time of the next event; Infinity: there is none. */
  get nextAt(): number {
    while (this.heap[0]?.cancelled) this.removeFirst()
    return this.heap[0]?.at ?? Infinity
  }

  /** Takes the next event out. */
  take(): Event | undefined {
    while (this.heap[0]?.cancelled) this.removeFirst()
    return this.removeFirst()
  }

  private rise(event: Event): void {
    const { heap } = this
    let place = heap.length
    heap.push(event)
    while (place > 0) {
      const above = (place - 1) >> 1
      const other = heap[above] as Event
      if (before(other, event)) break
      heap[place] = other
      place = above
    }
    heap[place] = event
  }

  private removeFirst(): Event | undefined {
    const { heap } = this
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || last === first) return first
    let place = 0
    for (;;) {
      let below = 2 * place + 1
      if (below >= heap.length) break
      const right = heap[below + 1]
      if (right !== undefined && before(right, heap[below] as Event)) below++
      const other = heap[below] as Event
      if (before(last, other)) break
      heap[place] = other
      place = below
    }
    heap[place] = last
    return first
  }
}

function before(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}
