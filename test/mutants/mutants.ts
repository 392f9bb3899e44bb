/** A bug put into the core: the property that must find it. */
export interface Mutant {
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
  /** The file of histories, under `packages/core/test/histories`, that must fail. */
  readonly caughtBy: string
  /** The algorithm whose histories are lived: one is enough, and the others take their time. */
  readonly algorithm: `${'fixed-window' | 'sliding-log' | 'token-bucket'}${'' | ', and more limits'}`
}

const LEDGER = 'packages/core/src/local/ledger.ts'
const LOCAL_KEY = 'packages/core/src/local/local-key.ts'
const ROW = 'packages/core/src/store/row.ts'
const MEMORY = 'packages/core/src/store/memory/table.ts'
const MEMORY_JOINT = 'packages/core/src/store/memory/joint-table.ts'
const BUCKET = 'packages/core/src/algorithms/bucket.ts'

/** The mistakes that are easily made in such code. The first six are those that the proof was asked to find. */
export const mutants: readonly Mutant[] = [
  {
    name: 'pending is set to zero on a reply',
    file: LEDGER,
    from: 'this.settledAdmitted = Math.min(admitted, this.admitted)',
    to: 'this.settledAdmitted = this.admitted',
    caughtBy: 'counts',
    algorithm: 'fixed-window',
  },
  {
    name: 'a bucket is clamped at its capacity: it knows no debt',
    file: BUCKET,
    from: `    this.drain(state, now - state.moment)
    state.used += cost`,
    to: `    this.drain(state, now - state.moment)
    state.used = Math.max(state.used, Math.min(this.limit, state.used + cost))`,
    caughtBy: 'counts',
    algorithm: 'token-bucket',
  },
  {
    name: 'a flush that was overtaken lowers the counter, so that the next one is counted twice',
    file: ROW,
    from: '    part.admitted += more\n',
    to: '    part.admitted = admitted\n',
    caughtBy: 'counts',
    algorithm: 'fixed-window',
  },
  {
    name: 'quota is granted and not booked',
    file: ROW,
    from: '    this.booked += more\n',
    to: '',
    caughtBy: 'leased',
    algorithm: 'fixed-window',
  },
  {
    name: 'what a dead node may have spent is returned',
    file: ROW,
    from: 'this.terms.limit.settle(this.state, at, 2, cost)',
    to: '',
    caughtBy: 'deaths',
    algorithm: 'token-bucket',
  },
  {
    name: 'quota is kept across the end of its window',
    file: LOCAL_KEY,
    from: `    this.current.giveBack(this.current.allowance)
    this.before = kept ? this.current : undefined
    this.ledger = new Ledger()`,
    to: `    const { allowance } = this.current
    this.before = kept ? this.current : undefined
    this.ledger = new Ledger()
    this.current.granted = allowance`,
    caughtBy: 'leased',
    algorithm: 'fixed-window',
  },
  // A leased node that was booked too much sees in its own view that nothing is left: not so with `maxOvershoot`.
  {
    name: 'the budget is off by one',
    file: ROW,
    from: 'Math.min(target - has, room + extra, limit - usage - has)',
    to: 'Math.min(target - has, room + extra + 1, limit - usage - has + 1)',
    caughtBy: 'capped',
    algorithm: 'fixed-window',
  },
  {
    name: 'what of a log is booked ahead is spent before it is free',
    file: LEDGER,
    from: 'const isRipe = start <= earliest',
    to: 'const isRipe = earliest < Infinity',
    caughtBy: 'leased',
    algorithm: 'sliding-log',
  },
  {
    name: 'a late delta lands in the window in which it arrives',
    file: MEMORY,
    from: 'row.merge(cell, this.terms, now, behind, current, entries)',
    to: 'row.merge(cell, this.terms, now, 0, current, entries)',
    caughtBy: 'counts',
    algorithm: 'fixed-window',
  },
  {
    name: 'a bucket drains at the rate of the limit by which it is looked at',
    file: MEMORY,
    from: 'if (row.pass(now, slice, this.counts.set)) this.file(key, row, slice)',
    to: 'row.goBy(this.terms, now)\n      if (row.pass(now, slice, this.counts.set)) this.file(key, row, slice)',
    caughtBy: 'leased',
    algorithm: 'token-bucket, and more limits',
  },
  {
    name: 'a late flush heals back what was reset',
    file: MEMORY,
    from: 'if (generation < row.generation) return undefined\n    const cell',
    to: 'const cell',
    caughtBy: 'reset',
    algorithm: 'fixed-window',
  },
  {
    name: 'a hard check that comes twice counts twice',
    file: MEMORY,
    from: 'if (request.sequence <= (counts.sequences.get(node)?.last ?? 0)) throw repeatedError()',
    to: '',
    caughtBy: 'counts',
    algorithm: 'fixed-window',
  },
  {
    name: 'of limits that are taken together one pays where another refuses',
    file: MEMORY_JOINT,
    from: "const pays = payer === (reserve && at === tables.length - 1 ? 'reserve' : 'limits')",
    to: 'const pays = peeked[at]?.allowed',
    caughtBy: 'counts',
    algorithm: 'fixed-window, and more limits',
  },
]

/** The source with the mutant in it. @throws where what it changes is not there exactly once */
export function mutate(source: string, { name, file, from, to }: Mutant): string {
  const parts = source.split(from)
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} places for the mutant: ${name}`)
  return parts.join(to)
}
