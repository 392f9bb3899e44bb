import { createHash } from 'node:crypto'
import type { Algorithm, AlgorithmName } from '../../algorithms/algorithm.ts'
import { arithmeticLua } from '../../algorithms/arithmetic.lua.ts'
import { bucketLua } from '../../algorithms/bucket.lua.ts'
import { fixedWindowLua } from '../../algorithms/fixed-window/fixed-window.lua.ts'
import { slidingLogLua } from '../../algorithms/sliding-log/sliding-log.lua.ts'
import { slidingWindowLua } from '../../algorithms/sliding-window/sliding-window.lua.ts'
import { wireKey } from '../../key.ts'
import { type Operation, type Request, signature } from '../store.ts'
import { engineLua, openingLua } from './engine.lua.ts'

export interface Script {
  readonly text: string
  readonly sha: string
}

function script(algorithm: string): Script {
  const text = openingLua + arithmeticLua + algorithm + engineLua
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

const bucketScript = script(bucketLua)

/** One script an algorithm: its Lua half, between the same beginning and end. */
export const scripts: Record<AlgorithmName, Script> = {
  'fixed-window': script(fixedWindowLua),
  'sliding-window': script(slidingWindowLua),
  'sliding-log': script(slidingLogLua),
  'token-bucket': bucketScript,
  'leaky-bucket': bucketScript,
}

/** The request as the script reads it. `now` is set by tests only. */
export function requestJson(
  limit: Algorithm,
  marker: string,
  request: Request,
  now: number | undefined,
): string {
  const { node, sequence, deadline, since, presence, extra, operations } = request
  return JSON.stringify({
    p: limit.parameters,
    s: signature(limit),
    m: marker,
    id: node,
    n: [Number.parseInt(node.slice(0, 8), 16), Number.parseInt(node.slice(8), 16)],
    q: sequence,
    d: deadline,
    since,
    presence,
    x: extra,
    l: request.limit,
    now,
    o: operations.map(withWireKey),
  })
}

function withWireKey(operation: Operation): Operation {
  const key = operation[1]
  const wire = wireKey(key)
  if (wire === key) return operation
  const [name, , ...rest] = operation
  return [name, wire, ...rest] as unknown as Operation
}
