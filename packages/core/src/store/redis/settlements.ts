import type { AlgorithmName } from '../../algorithms/algorithm.ts'
import { wireKey } from '../../key.ts'
import { type Counters, type Operation, type Raise, settlementOf } from '../store.ts'
import { RaisedRows } from './rows.ts'

/** This many keys fit into one Redis command with room to spare. */
const MOST = 2000
/** Stands for the admitted cost of a key that the node does not know and only reads. */
const READS = -1

/**
 * Settlements that tell only admitted cost and a demand, as nearly all do. They travel as lists, which are read and
 * answered in a fraction of the time, see `settlements.lua.ts`. If the node knows a key's row, it composes the new row
 * itself (`raised`). A key is in one of the two, once, and in no other operation.
 */
export class Settlements {
  readonly keys: string[] = []
  readonly admitted: number[] = []
  /** Of the slice before. */
  readonly late: number[] = []
  readonly demands: number[] = []
  /** The slice of all that name one; undefined: all only read. */
  private slice: number | undefined
  readonly raised = new RaisedRows()
  /** The other operations. */
  readonly others: Operation[] = []
  /** The places, among all operations, of those in the lists, those raised, and the others. */
  readonly listedAt: number[] = []
  readonly raisedAt: number[] = []
  readonly othersAt: number[] = []

  /** Undefined if none can travel so. */
  static of(algorithm: AlgorithmName, operations: readonly Operation[]): Settlements | undefined {
    // A log's settlements have entries. Hard checks, which are in a hurry, send only takes.
    if (algorithm === 'sliding-log' || operations.length > MOST || operations[0]?.[0] === 'take')
      return undefined
    const settlements = new Settlements()
    const names = new Set<string>()
    for (let place = 0; place < operations.length; place++) {
      const operation = operations[place] as Operation
      names.add(operation[1])
      settlements.place(operation, place)
    }
    // The second of two operations on one key goes by what the first has left.
    if (names.size < operations.length || settlements.others.length === operations.length) return undefined
    return settlements
  }

  private place(operation: Operation, place: number): void {
    if (operation[0] === 'raise' && this.raises(operation)) {
      this.raised.add(operation)
      this.raisedAt.push(place)
    } else if (this.add(asSettled(operation))) this.listedAt.push(place)
    else {
      this.others.push(operation)
      this.othersAt.push(place)
    }
  }

  private raises(raise: Raise): boolean {
    const [, , slice, admitted, , demand, , , had, before] = raise
    // A row without demand may be shorter than one with it: both rows must be equally long.
    return admitted >= had && (demand === 0) === (before === 0) && this.isOf(slice)
  }

  /** Whether it is of the same slice as the others. */
  private isOf(slice: number): boolean {
    this.slice ??= slice
    return slice === this.slice
  }

  private add(operation: Operation): boolean {
    if (operation[0] === 'settle') {
      const [, key, generation, slice, current, late, ask] = operation
      if (generation !== 0 || ask == null || ask[2] > 0 || ask[3] > 0) return false
      if (!isAdmittedOnly(current) || !isAdmittedOnly(late) || !this.isOf(slice)) return false
      this.note(key, current[0], late[0], ask[0])
      return true
    }
    if (operation[0] !== 'read') return false
    const [, key, ask] = operation
    if (ask === undefined || ask[2] > 0 || ask[3] > 0) return false
    this.note(key, READS, 0, ask[0])
    return true
  }

  private note(key: string, admitted: number, late: number, demand: number): void {
    this.keys.push(wireKey(key))
    this.admitted.push(admitted)
    this.late.push(late)
    this.demands.push(demand)
  }

  /** As the script reads them, within a request. */
  json(): string {
    let json = ''
    if (this.keys.length > 0) json += `,"k":${JSON.stringify(this.keys)},"n":[${this.admitted}]`
    if (this.raised.count > 0) json += `,"w":${this.raised.count}`
    if (this.slice !== undefined) json += `,"v":${this.slice}`
    if (this.late.some(isSome)) json += `,"m":[${this.late}]`
    if (this.demands.some(isSome)) json += `,"e":[${this.demands}]`
    return json
  }
}

/** The operation, with a `raise` as the `settle` that it stands for. */
export function asSettled(operation: Operation): Operation {
  return operation[0] === 'raise' ? settlementOf(operation) : operation
}

function isSome(cost: number): boolean {
  return cost !== 0
}

function isAdmittedOnly([, refunded, granted, returned]: Counters): boolean {
  return refunded === 0 && granted === 0 && returned === 0
}
