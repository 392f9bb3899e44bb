import { createLimiter, fixedWindow } from '@spillway/core'
import { lruFloor } from '../contenders/floors.ts'
import { runNodes } from '../node-processes.ts'
import type { Case, Contender, Question } from '../question.ts'
import { CPU, type Made, runMade, type Shape, TURNS, WINDOW_MS } from '../warm-checks.ts'

// How the cost of a check grows with the keys, with the nodes that share them, and with the limits on each key. CPU,
// not time: the settling behind the checks counts too.

const LIMIT = 2_000_000_000
const CHECKS = 2 ** 17

/** A contender is a point on a line of the plot, such as the floor's, at a number of keys, nodes or limits. */
interface Point extends Contender {
  readonly line: string
  readonly at: number
}

function point(line: string, at: number, what: string, run: Contender['run']): Point {
  return { line, at, name: `${line}, ${at.toLocaleString('en')} ${what}${at > 1 ? 's' : ''}`, run }
}

function warm(keys: number, make: () => Made): Contender['run'] {
  const popularity = 'uniform'
  const shape: Shape = { keys, popularity, burst: 256, checks: CHECKS, warmUp: 8 * CHECKS, limit: LIMIT }
  return runMade(make, shape)
}

const limit = fixedWindow({ limit: LIMIT, window: WINDOW_MS })

function ofKeys(keys: number): Point[] {
  return [
    point(
      'floor: lru-cache',
      keys,
      'key',
      warm(keys, () => ({ check: lruFloor(2 * keys, LIMIT, WINDOW_MS) })),
    ),
    point(
      'soft',
      keys,
      'key',
      warm(keys, () => {
        const limiter = createLimiter({ name: 'bench', limit, mode: 'soft', maxKeys: 2 * keys })
        return { check: (key) => limiter.checkSync(key), warm: () => limiter.flush() }
      }),
    ),
  ]
}

/** Each node has a process of its own, as in life: in one process, more nodes have more RAM than its caches hold. */
function ofNodes(nodes: number): Point {
  return point('soft', nodes, 'node', runNodes(nodes, { keys: 1000, checks: CHECKS, warmUp: 4 * CHECKS }))
}

function ofLimits(count: number): Point {
  return point(
    'soft',
    count,
    'limit',
    warm(10_000, () => {
      const limits = Array.from({ length: count }, (_, place) =>
        fixedWindow({ limit: LIMIT, window: (place + 1) * WINDOW_MS }),
      )
      const limiter = createLimiter({ name: 'bench', limit: limits, mode: 'soft' })
      return { check: (key) => limiter.checkSync(key), warm: () => limiter.flush() }
    }),
  )
}

/** What is plotted: one panel each. */
export interface Panel extends Case {
  readonly axis: string
  readonly contenders: readonly Point[]
}

export const panels: readonly Panel[] = [
  {
    name: 'growth with keys',
    axis: 'keys',
    turns: TURNS,
    contenders: [1000, 10_000, 100_000, 1_000_000].flatMap(ofKeys),
    targets: [],
  },
  {
    name: 'growth with nodes, 1,000 keys',
    axis: 'nodes',
    redis: true,
    turns: TURNS / 2,
    contenders: [1, 4, 16, 64].map(ofNodes),
    targets: [{ measure: CPU, ours: 'soft, 64 nodes', to: 'soft, 1 node', atMost: 1.25 }],
  },
  {
    name: 'growth with limits on each of 10,000 keys',
    axis: 'limits on each key',
    turns: TURNS,
    contenders: [1, 2, 3, 4, 5].map(ofLimits),
    targets: [],
  },
]

export const growth: Question = { name: 'growth', title: 'Growth', cases: panels }
