/** Numbers in rows, in the order in which they were noted; grows as needed. */
class Rows {
  length = 0
  private numbers = new Float64Array(128)

  constructor(private readonly width: number) {}

  add(): number {
    const at = this.length * this.width
    if (at + this.width > this.numbers.length) {
      const more = new Float64Array(2 * this.numbers.length)
      more.set(this.numbers)
      this.numbers = more
    }
    this.length++
    return at
  }

  set(at: number, value: number): void {
    this.numbers[at] = value
  }

  get(row: number, column: number): number {
    return this.numbers[row * this.width + column] as number
  }
}

/** The checks of one key. */
export class Checks {
  private readonly rows = new Rows(2)
  private inOrder = true
  private last = -Infinity

  /** @param at when it was decided, in milliseconds of store time with their fraction */
  note(at: number, cost: number, allowed: boolean): void {
    const row = this.rows.add()
    this.rows.set(row, at)
    this.rows.set(row + 1, allowed ? cost : -cost)
    if (at < this.last) this.inOrder = false
    else this.last = at
  }

  /** By time; those of one time as they were noted. */
  each(visit: (at: number, cost: number, allowed: boolean) => void): void {
    const { rows } = this
    const places = this.inOrder ? undefined : this.sorted()
    for (let place = 0; place < rows.length; place++) {
      const row = places?.[place] ?? place
      const cost = rows.get(row, 1)
      visit(rows.get(row, 0), Math.abs(cost), cost > 0)
    }
  }

  private sorted(): Uint32Array {
    const places = Uint32Array.from({ length: this.rows.length }, (_, place) => place)
    return places.sort((one, other) => this.rows.get(one, 0) - this.rows.get(other, 0) || one - other)
  }
}

/** Pairs of a time and a number. */
export class Series {
  private readonly rows = new Rows(2)

  note(at: number, value: number): void {
    const row = this.rows.add()
    this.rows.set(row, at)
    this.rows.set(row + 1, value)
  }

  each(visit: (at: number, value: number) => void): void {
    for (let row = 0; row < this.rows.length; row++) visit(this.rows.get(row, 0), this.rows.get(row, 1))
  }
}

/** All that an observer who sees every node and the store's true time can know. Times are the store's. */
export class Observations {
  readonly keys = new Map<string, Checks>()
  /** Commands sent to the store, with the key entries each carried. */
  readonly calls = new Series()
  /** Checks that waited: when each was made, and how long it waited. */
  readonly waits = new Series()
  /** Checks that ended in an error. */
  failed = 0
  /** The first error that is not a StoreError. */
  fault: unknown = undefined
  /** Checks that are not answered yet; if their node has died, they never will be. */
  unanswered = 0

  check(key: string, at: number, cost: number, allowed: boolean): void {
    let checks = this.keys.get(key)
    if (checks === undefined) {
      checks = new Checks()
      this.keys.set(key, checks)
    }
    checks.note(at, cost, allowed)
  }
}
