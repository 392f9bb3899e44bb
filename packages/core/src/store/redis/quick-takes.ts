import type { Algorithm } from '../../algorithms/algorithm.ts'
import { wireKey } from '../../key.ts'
import { CHANGES_KEPT, type Reply, type Request, type Snapshot } from '../store.ts'
import { ReplyReader } from './reply.ts'
import { quickHead, takeAlone, takesJson } from './script.ts'

const NO_SNAPSHOTS: readonly Snapshot[] = []

/** Quick takes of a table, see `quick-take.lua.ts`: sends as little as possible, and remembers the rest. */
export class QuickTakes {
  /** The last long answer was heard: while the file is open, what it told still holds. */
  private isHeard = false
  private marker = ''
  private changesFrom = 0
  private head = ''
  /** What the head was made of. */
  private begins = ''
  private limit: Request['limit']
  private inForce: Algorithm
  private readonly state: unknown
  /** The file of the slice that begins at `from` and ends before `until`. */
  private file = ''
  private from = 0
  private until = 0
  private hasBegun = false

  constructor(
    private readonly own: Algorithm,
    private readonly sha: string,
    private readonly prefix: string,
    private readonly isCluster: boolean,
  ) {
    this.inForce = own
    this.state = own.create()
  }

  /** To be called when an answer may have been lost. */
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
   * @param request see `mayBeTakes`
   * @param begins what the node's requests begin with
   * @param table knows the store's time
   */
  words(
    request: Request,
    begins: string,
    table: { now(): number },
    testNow: (() => number) | undefined,
  ): string[] | undefined {
    const { sequence, deadline, limit, operations, distinct } = request
    if (!this.isHeard) return undefined
    if (deadline >= this.until || deadline < this.from) this.turn(deadline)
    // The deadline is in a slice that has not begun, so its file can't be open yet.
    if (!this.hasBegun && table.now() < this.from) return undefined
    this.hasBegun = true
    if (begins !== this.begins || limit !== this.limit) this.begin(begins, limit)
    const { sha, file, head } = this
    const alone = takeAlone(operations)
    const key = alone === undefined ? '' : wireKey(alone[1])
    const words = [sha, '1', file, head, `${sequence}`, `${deadline}`, key]
    if (this.isCluster) words.splice(1, 2, '2', file, this.prefix)
    if (alone === undefined) {
      const takes = takesJson(operations, distinct)
      if (takes === undefined) return undefined
      words.push(`{${takes}}`)
    } else if (alone[2] !== 1 || testNow !== undefined) words.push(`${alone[2]}`)
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

  /** Replays the decisions from the states before them, as the script took them. */
  read(answer: Buffer, { operations, limit }: Request): Reply {
    const reader = new ReplyReader(answer)
    const { results, given } = reader.taken(this.inForceOf(limit), operations, this.state)
    const { time: now } = reader
    const changesFrom = Math.max(this.changesFrom, now - CHANGES_KEPT)
    const { marker } = this
    return {
      now,
      marker,
      nodes: 0,
      changesFrom,
      changed: NO_SNAPSHOTS,
      results,
      limit,
      booked: undefined,
      given,
    }
  }
}
