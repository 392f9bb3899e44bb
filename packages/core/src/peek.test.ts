import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fixedWindow } from './algorithms/fixed-window/fixed-window.ts'
import { leakyBucket } from './algorithms/leaky-bucket/leaky-bucket.ts'
import { slidingLog } from './algorithms/sliding-log/sliding-log.ts'
import { slidingWindow } from './algorithms/sliding-window/sliding-window.ts'
import { tokenBucket } from './algorithms/token-bucket/token-bucket.ts'
import type { Decision } from './decision.ts'
import type { Limits, ScopeKeys } from './limit-parts.ts'
import { createLimiter } from './limiter.ts'
import type { LimiterOptions, ScopedOptions } from './options.ts'
import { memoryStore } from './store/memory.ts'
import { ManualClock } from './testing/manual-clock.ts'

/** Each limit, with that of a plan. */
const LIMITS: Record<string, readonly [Limits, plan: Limits]> = {
  'fixed window': [fixedWindow({ limit: 4, window: '10s' }), fixedWindow({ limit: 8, window: '10s' })],
  'sliding window': [slidingWindow({ limit: 4, window: '10s' }), slidingWindow({ limit: 8, window: '10s' })],
  'sliding log': [slidingLog({ limit: 4, window: '10s' }), slidingLog({ limit: 8, window: '10s' })],
  'token bucket': [
    tokenBucket({ capacity: 4, refill: 4, per: '10s' }),
    tokenBucket({ capacity: 8, refill: 8, per: '10s' }),
  ],
  'leaky bucket': [
    leakyBucket({ capacity: 4, leak: 4, per: '10s' }),
    leakyBucket({ capacity: 8, leak: 8, per: '10s' }),
  ],
  'two limits': [
    [fixedWindow({ limit: 6, window: '20s' }), tokenBucket({ capacity: 3, refill: 3, per: '5s' })],
    [fixedWindow({ limit: 9, window: '20s' }), tokenBucket({ capacity: 6, refill: 6, per: '5s' })],
  ],
}

/** Scopes of which each check names two, with those of a plan. */
const SCOPES = {
  scopes: {
    user: slidingWindow({ limit: 4, window: '10s' }),
    ip: tokenBucket({ capacity: 6, refill: 6, per: '20s' }),
  },
  plan: { user: slidingWindow({ limit: 8, window: '10s' }) },
}

const MODES: Record<string, Partial<LimiterOptions>> = {
  hard: { mode: 'hard' },
  soft: { mode: 'soft' },
  leased: { mode: 'leased' },
  'soft with maxOvershoot': { mode: 'soft', sync: { maxOvershoot: 0.5 } },
}

const key = fc.constantFrom('a', 'b', 'staff', 'thief')
const node = fc.nat({ max: 1 })
const cost = fc.integer({ min: 1, max: 6 })
const step = fc.oneof(
  fc.tuple(fc.constant('check' as const), node, key, cost),
  fc.tuple(fc.constant('refund' as const), node, key, cost),
  fc.tuple(fc.constant('penalty' as const), node, key, cost),
  fc.tuple(fc.constant('block' as const), node, key, fc.integer({ min: 1, max: 15_000 })),
  fc.tuple(fc.constant('reset' as const), node, key, fc.constant(0)),
  fc.tuple(fc.constant('advance' as const), node, key, fc.integer({ min: 1, max: 12_000 })),
)
const more = fc.record({
  dryRun: fc.boolean(),
  spike: fc.option(fc.constant({ extra: 2, per: '30s' as const }), { nil: undefined }),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type More = typeof more extends fc.Arbitrary<infer T> ? T : never

/** Both scopes of a key; those of two keys share an address. */
function scoped(key: string) {
  return { user: key, ip: key === 'b' ? 'a' : key }
}

const PLAIN: More = { dryRun: false, spike: undefined }

/** What broke it once. */
const EXAMPLES: [More, planned: boolean, Step[]][] = [
  // A soft check near the limit asked the store, and heard of what a peek did not.
  [
    PLAIN,
    true,
    [
      ['refund', 0, 'thief', 1],
      ['check', 0, 'b', 6],
      ['penalty', 0, 'b', 1],
    ],
  ],
  // Booked for a check, and then not spent: the node had begun to take turns, and was behind in them.
  [
    PLAIN,
    true,
    [
      ['penalty', 0, 'a', 1],
      ['advance', 0, 'a', 900],
      ['check', 1, 'a', 5],
    ],
  ],
  [
    PLAIN,
    true,
    [
      ['reset', 0, 'a', 0],
      ['advance', 0, 'a', 900],
      ['refund', 0, 'a', 2],
      ['check', 1, 'a', 5],
    ],
  ],
  // Of a limit that need not be asked, another one refusing, a check told as if its cost were taken.
  [
    PLAIN,
    false,
    [
      ['check', 1, 'a', 4],
      ['reset', 0, 'a', 0],
    ],
  ],
  [
    PLAIN,
    true,
    [
      ['penalty', 1, 'a', 6],
      ['reset', 1, 'a', 0],
    ],
  ],
  // What may go above the limit was booked for the other node.
  [
    PLAIN,
    false,
    [
      ['reset', 1, 'a', 0],
      ['penalty', 0, 'a', 2],
    ],
  ],
  // A limit was told twice of a key, as asked about and as changed, and the second time as if it had not asked.
  [
    PLAIN,
    false,
    [
      ['refund', 1, 'b', 1],
      ['penalty', 0, 'b', 1],
    ],
  ],
  // One limit was blocked, and of the other's key this node had not heard.
  [
    PLAIN,
    false,
    [
      ['penalty', 0, 'a', 1],
      ['block', 0, 'b', 1],
    ],
  ],
  [
    PLAIN,
    false,
    [
      ['refund', 1, 'b', 1],
      ['penalty', 0, 'b', 4],
    ],
  ],
  // A check that waited for one limit heard of the other one's reset.
  [
    PLAIN,
    true,
    [
      ['refund', 0, 'b', 1],
      ['advance', 1, 'b', 1],
      ['reset', 1, 'b', 0],
    ],
  ],
  [
    PLAIN,
    true,
    [
      ['refund', 0, 'b', 1],
      ['advance', 0, 'a', 2000],
      ['reset', 0, 'b', 0],
      ['reset', 0, 'b', 0],
    ],
  ],
  [
    PLAIN,
    false,
    [
      ['penalty', 0, 'b', 1],
      ['reset', 0, 'b', 0],
      ['advance', 0, 'a', 1],
    ],
  ],
  // With maxOvershoot, each answer made the node take turns, or made it stop.
  [
    PLAIN,
    false,
    [
      ['refund', 1, 'a', 1],
      ['refund', 0, 'a', 1],
      ['advance', 0, 'b', 1],
    ],
  ],
  // A refused check told only of the limits that needed not ask the store.
  [PLAIN, false, [['penalty', 0, 'a', 3]]],
]

/** Who decided may differ: a check that had to ask the store has been decided there. */
function said({ source: _, ...decision }: Decision) {
  return decision
}

function verdict({ allowed, wouldDeny }: Decision) {
  return { allowed, wouldDeny }
}

/** One that is asked by names of keys, whatever its keys are. */
interface Asked {
  check(key: string, options: object): Promise<Decision>
  peek(key: string, options: object): Promise<Decision>
  verb(what: 'refund' | 'penalty' | 'block' | 'reset', key: string, number: number): Promise<boolean>
  close(): Promise<void>
}

function ofKeys(limit: Limits, options: object): Asked {
  const lists = { allow: ['staff'], deny: ['thief'] }
  const limiter = createLimiter({ ...(options as LimiterOptions), ...lists, limit })
  return {
    check: (key, call) => limiter.check(key, call),
    peek: (key, call) => limiter.peek(key, call),
    verb: (what, key, number) => limiter[what](key, number),
    close: () => limiter.close(),
  }
}

function ofScopes(options: object): Asked {
  const { scopes } = SCOPES
  const lists = {
    allow: ({ user }: ScopeKeys) => user === 'staff',
    deny: ({ user }: ScopeKeys) => user === 'thief',
  }
  const limiter = createLimiter({ ...options, scopes, ...lists } as ScopedOptions<'user' | 'ip'>)
  return {
    check: (key, call) => limiter.check(scoped(key), call),
    peek: (key, call) => limiter.peek(scoped(key), call),
    verb: (what, key, number) => limiter[what](scoped(key), number),
    close: () => limiter.close(),
  }
}

/** @param make one of two nodes */
async function holds(
  make: (options: object) => Asked,
  mode: Partial<LimiterOptions>,
  plan: unknown,
  isScoped: boolean,
) {
  // What is left above the limit changes with each answer, as the node begins to take turns and stops.
  const told = mode.sync === undefined ? said : verdict
  await fc.assert(
    fc.asyncProperty(
      more,
      fc.boolean(),
      fc.array(step, { maxLength: 20 }),
      async ({ dryRun, spike }, planned, steps) => {
        const clock = new ManualClock()
        const made = { name: 'api', store: memoryStore({ clock }), clock, random: () => 0.5, dryRun, ...mode }
        const nodes = [0, 1].map(() => make({ ...made, ...(!isScoped && { spike }) }))
        const chosen = planned ? { limit: plan } : {}
        for (const [what, place, its, number] of steps) {
          const one = nodes[place]!
          if (what === 'advance') await clock.advance(number)
          else if (what === 'check') await one.check(its, { cost: number, ...chosen })
          else await one.verb(what, its, number)
          // What is under way may bring news.
          await clock.advance(0)
          const peeked = await one.peek(its, chosen)
          const again = await one.peek(its, chosen)
          const checked = await one.check(its, chosen)
          expect(told(again)).toEqual(told(peeked))
          expect(told(checked)).toEqual(told(peeked))
        }
        for (const one of nodes) await one.close()
      },
    ),
    {
      numRuns: Math.ceil(fc.readConfigureGlobal().numRuns! / 5),
      examples: EXAMPLES,
      seed: 20_261_124,
    },
  )
}

describe.each(Object.entries(MODES))('%s: what a check would say, peek says', (_, mode) => {
  it.each(Object.entries(LIMITS))('%s', async (_, [limit, plan]) => {
    await holds((options) => ofKeys(limit, options), mode, plan, false)
  })

  it('scopes of two keys', async () => {
    await holds(ofScopes, mode, SCOPES.plan, true)
  })
})
