import { type Algorithm, Numbers } from '../../algorithms/algorithm.ts'
import { wireKey } from '../../key.ts'
import { CHANGES_KEPT, type GivenBack, type Reply, type Request, type Snapshot } from '../store.ts'
import { PLAIN_GIVEN } from './quick-take.lua.ts'
import { quickHead, type SingleTake } from './script.ts'

const NO_SNAPSHOTS: readonly Snapshot[] = []

/** Where the row begins, and how long the answer is where more is kept of the key than its state. */
const ROW = 9
const GIVEN = ROW + PLAIN_GIVEN

/** What was given back, unless that is over. */
function givenBack(answer: Buffer, now: number, key: string): Reply['given'] {
  if (answer.readDoubleBE(ROW + 48) <= now) return undefined
  const given: GivenBack = [answer.readDoubleBE(ROW + 32), answer.readDoubleBE(ROW + 40)]
  return given[1] > 0 ? new Map([[key, given]]) : undefined
}

/** What a table needs to take quickly, see `quick-take.lua.ts`: it sends as little as can be, and remembers the rest. */
export class QuickTakes {
  /** The last long answer was heard: an open file stands for what it told. */
  private isHeard = false
  private marker = ''
  private changesFrom = 0
  private head = ''
  /** What the head was made of. */
  private begins = ''
  private limit: Request['limit']
  private inForce: Algorithm
  /** Of the slice that begins `from`, and ends before `until`. */
  private file = ''
  private from = 0
  private until = 0
  private hasBegun = false
  private readonly state: unknown
  private readonly numbers = new Numbers()

  constructor(
    private readonly own: Algorithm,
    private readonly sha: string,
    private readonly prefix: string,
    private readonly isCluster: boolean,
  ) {
    this.inForce = own
    this.state = own.create()
  }

  /** Something may have been said that was not heard. */
  forget(): void {
    this.isHeard = false
  }

  learn({ marker, changesFrom }: Reply): void {
    this.isHeard = true
    this.marker = marker
    this.changesFrom = changesFrom
  }

  /**
   * The command, if it can be a quick one.
   *
   * @param begins what the node's requests begin with
   * @param table what knows the store's time
   */
  words(
    request: Request,
    [, key, cost]: SingleTake,
    begins: string,
    table: { now(): number },
    testNow: (() => number) | undefined,
  ): string[] | undefined {
    const { sequence, deadline, limit } = request
    if (!this.isHeard) return undefined
    if (deadline >= this.until || deadline < this.from) this.turn(deadline)
    // Good for a slice that has not begun yet: its file can't be open.
    if (!this.hasBegun && table.now() < this.from) return undefined
    this.hasBegun = true
    if (begins !== this.begins || limit !== this.limit) this.begin(begins, limit)
    const { sha, file, head } = this
    const words = [sha, '1', file, head, `${sequence}`, `${deadline}`, wireKey(key)]
    if (this.isCluster) words.splice(1, 2, '2', file, this.prefix)
    if (cost !== 1 || testNow !== undefined) words.push(`${cost}`)
    if (testNow !== undefined) words.push(`${testNow()}`)
    return words
  }

  private turn(deadline: number): void {
    const { window, lateSlices } = this.own
    const slice = Math.floor(deadline / window)
    this.file = `${this.prefix}:${slice + lateSlices}`
    this.from = slice * window
    this.until = this.from + window
    this.hasBegun = false
  }

  private begin(begins: string, limit: Request['limit']): void {
    this.begins = begins
    this.head = quickHead(begins, limit)
    this.inForce = this.inForceOf(limit)
    this.limit = limit
  }

  private inForceOf(limit: Request['limit']): Algorithm {
    if (limit === this.limit) return this.inForce
    return limit === undefined || limit.length === 0 ? this.own : this.own.with(limit.slice(1))
  }

  /** Replays the decision from the state before it, as the script took. */
  read(answer: Buffer, { operations, limit }: Request): Reply {
    const { numbers, state, marker } = this
    const inForce = this.inForceOf(limit)
    const now = answer.readDoubleBE(1)
    numbers.a = answer.readDoubleBE(9)
    numbers.b = answer.readDoubleBE(17)
    numbers.c = answer.readDoubleBE(25)
    numbers.d = answer.readDoubleBE(33)
    inForce.load(state, numbers)
    const [, key, cost] = operations[0] as SingleTake
    const results = [[inForce.take(state, now, cost, 'store', true)]]
    const changesFrom = Math.max(this.changesFrom, now - CHANGES_KEPT)
    const given = answer.length === GIVEN ? givenBack(answer, now, key) : undefined
    const kept = { booked: undefined, given }
    return { now, marker, nodes: 0, changesFrom, changed: NO_SNAPSHOTS, results, limit, ...kept }
  }
}
