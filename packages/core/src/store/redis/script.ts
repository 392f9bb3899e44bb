import { createHash } from 'node:crypto'
import type { Algorithm, AlgorithmName } from '../../algorithms/algorithm.ts'
import { bucketLua } from '../../algorithms/bucket.lua.ts'
import { fixedWindowLua } from '../../algorithms/fixed-window/fixed-window.lua.ts'
import type { LuaHalf } from '../../algorithms/lua-half.ts'
import { slidingLogLua } from '../../algorithms/sliding-log/sliding-log.lua.ts'
import { slidingWindowLua } from '../../algorithms/sliding-window/sliding-window.lua.ts'
import { wireKey } from '../../key.ts'
import type { Operation, Request } from '../store.ts'
import { engineLua } from './engine.lua.ts'
import { filesLua } from './files.lua.ts'
import { jointLua } from './joint.lua.ts'
import { openingLua } from './opening.lua.ts'
import { quickBatchLua } from './quick-batch.lua.ts'
import { beginningLua, quickTakeLua } from './quick-take.lua.ts'
import { asSettled, type Settlements } from './settlements.ts'
import { takesLua } from './takes.lua.ts'

export interface Script {
  readonly text: string
  readonly sha: string
}

const halves: Record<AlgorithmName, LuaHalf> = {
  'fixed-window': fixedWindowLua,
  'sliding-window': slidingWindowLua,
  'sliding-log': slidingLogLua,
  'token-bucket': bucketLua,
  'leaky-bucket': bucketLua,
}
const made = new Map<string, Script>()

/** Given `time` alone, a script is only loaded, and tells the server's time. */
const timeLua = /* lua */ `
if ARGV[1] == 'time' then return redis.call('TIME') end
`

function script(rest: string): Script {
  const text = timeLua + rest
  let script = made.get(text)
  if (script === undefined) {
    script = { text, sha: createHash('sha1').update(text).digest('hex') }
    made.set(text, script)
  }
  return script
}

/** What follows the quick take, or only its functions in a joint script. */
function longWay(half: LuaHalf): string {
  return openingLua + half.begins + takesLua(half) + half.functions + filesLua + engineLua
}

/** One script per algorithm: its Lua half, between the same beginning and end. */
export function scriptOf(algorithm: AlgorithmName): Script {
  const half = halves[algorithm]
  const { take } = half
  const quick = take === undefined ? '' : quickTakeLua(take, quickBatchLua(half, take))
  return script(`local joint = false\n${beginningLua}${quick}${longWay(half)}`)
}

/** A script that takes from several tables, and for each the place in it of the function that opens it. */
export function jointScriptOf(algorithms: readonly AlgorithmName[]): [Script, places: number[]] {
  const used = [...new Set(algorithms.map((algorithm) => halves[algorithm]))]
  used.sort((one, other) => (one.functions < other.functions ? -1 : 1))
  const engines = used.map((half) => {
    const opens = half.take?.opens ?? ''
    return `function(KEYS, ARGV, joint)\n${beginningLua}${opens}${longWay(half)}\nend`
  })
  const places = algorithms.map((algorithm) => used.indexOf(halves[algorithm]) + 1)
  return [script(`local engines = {${engines.join(',\n')}}\n${jointLua}`), places]
}

/** The common beginning of a node's requests to a table. */
export function requestHead(limit: Algorithm, signature: string, node: string): string {
  return JSON.stringify({ p: limit.parameters, s: signature, id: node }).slice(0, -1)
}

/** Milliseconds. The slice's file notes each node that takes quickly: in longer ones too many may come and go. */
const LONGEST_QUICK = 24 * 3_600_000

/** Whether the limit has quick takes. */
export function isQuick({ algorithm, window }: Algorithm): boolean {
  return halves[algorithm].take !== undefined && window <= LONGEST_QUICK
}

/** The common beginning of a node's quick takes. @param limit as in its requests */
export function quickHead(head: string, limit: Request['limit']): string {
  return limit === undefined ? `${head}}` : `${head},"l":${JSON.stringify(limit)}}`
}

/** This many keys fit into one Redis command with room to spare. */
const MOST_QUICK = 2000

/** Whether the request may be nothing but takes that must not be carried out twice. */
export function mayBeTakes({ operations, sequence, deadline, since, presence }: Request): boolean {
  const { length } = operations
  if (length === 0 || length > MOST_QUICK || operations[0]?.[0] !== 'take') return false
  return sequence !== 0 && deadline !== 0 && since < 0 && presence === 0
}

/** The only operation, if it is one take of one cost. */
export function takeAlone(operations: readonly Operation[]): SingleTake | undefined {
  const take = operations[0] as Operation
  return operations.length === 1 && take.length === 3 ? (take as SingleTake) : undefined
}

type SingleTake = readonly ['take', key: string, cost: number]

/** The request as the script reads it: empty fields are left out. `now` is set by tests only. */
export function requestJson(
  head: string,
  request: Request,
  now: number | undefined,
  settlements?: Settlements,
): string {
  const { sequence, deadline, since, presence, extra, operations, distinct, limit } = request
  let json = `${head},"q":${sequence},"d":${deadline}`
  if (since >= 0) json += `,"since":${since}`
  if (presence > 0) json += `,"presence":${presence}`
  if (extra > 0) json += `,"x":${extra}`
  if (limit !== undefined) json += `,"l":${JSON.stringify(limit)}`
  if (now !== undefined) json += `,"now":${now}`
  if (settlements !== undefined)
    return `${json}${settlements.json()},"o":${operationsJson(settlements.others)}}`
  return `${json},${takesJson(operations, distinct) ?? `"o":${operationsJson(operations)}`}}`
}

function operationsJson(operations: readonly Operation[]): string {
  return JSON.stringify(operations.map((operation) => withWireKey(asSettled(operation))))
}

type Costs = number | readonly number[]

/** The keys and costs of the operations, if they are takes of a key each; without costs if each is one cost of 1. */
export function takesJson(operations: readonly Operation[], areDistinct = false): string | undefined {
  if (operations.length === 0) return undefined
  const keys: string[] = []
  let areOnes = true
  for (const operation of operations) {
    if (operation[0] !== 'take') return undefined
    keys.push(operation[1])
    areOnes &&= operation.length === 3 && operation[2] === 1
  }
  if (!areDistinct && keys.length > 1 && new Set(keys).size !== keys.length) return undefined
  const json = `"t":${wireKeysJson(keys)}`
  return areOnes ? json : `${json},"c":${JSON.stringify((operations as readonly AnyTake[]).map(costsOf))}`
}

/** Checks all keys together, in their JSON, which escapes a lone surrogate: hardly any key has another wire form. */
function wireKeysJson(keys: readonly string[]): string {
  const json = JSON.stringify(keys)
  return json.includes('\\ud') || json.includes('\uFFFF') ? JSON.stringify(keys.map(wireKey)) : json
}

type AnyTake = Operation & { 0: 'take' }

/** The costs, or their number if all are 1, so that many checks of one key cost no more than one. */
function costsOf(take: AnyTake): Costs {
  for (let place = 2; place < take.length; place++) if (take[place] !== 1) return take.slice(2) as number[]
  return take.length - 2
}

function withWireKey(operation: Operation): Operation {
  const key = operation[1]
  const wire = wireKey(key)
  if (wire === key) return operation
  const [name, , ...rest] = operation
  return [name, wire, ...rest] as unknown as Operation
}
