import fc from 'fast-check'
import type { AlgorithmName, Limit } from '../../src/algorithms/algorithm.ts'
import { fixedWindow } from '../../src/algorithms/fixed-window/fixed-window.ts'
import { leakyBucket } from '../../src/algorithms/leaky-bucket/leaky-bucket.ts'
import { slidingLog } from '../../src/algorithms/sliding-log/sliding-log.ts'
import { slidingWindow } from '../../src/algorithms/sliding-window/sliding-window.ts'
import { tokenBucket } from '../../src/algorithms/token-bucket/token-bucket.ts'

/** How a node decides; `fixed` is soft mode with early sync off. */
type NodeMode = 'hard' | 'leased' | 'capped' | 'soft' | 'fixed'

export interface NodePlan {
  readonly mode: NodeMode
  /** Milliseconds by which its wall clock is ahead, and the part by which its clocks run fast. */
  readonly wall: number
  readonly rate: number
  /** Whether its checks may wait for the store. */
  readonly waits: boolean
}

/**
 * What happens at a step; `ms` and `cost` are of use to some. `load`: checks come to all nodes for a while;
 * `chatter`: and these flush again and again. `acquire` waits for `ms`, or gives up before; what `reserve` has taken is
 * settled as `plan` after up to half a second.
 */
export type Act =
  | 'check'
  | 'burst'
  | 'load'
  | 'chatter'
  | 'flush'
  | 'refund'
  | 'penalty'
  | 'glance'
  | 'acquire'
  | 'reserve'
  | 'reset'
  | 'set'
  | 'pause'
  | 'suspend'
  | 'crash'
  | 'restart'
  | 'join'
  | 'switch'
  | 'stall'
  | 'away'
  | 'lose'

export interface Step {
  /** Milliseconds that pass before it. */
  readonly wait: number
  readonly act: Act
  readonly node: number
  readonly cost: number
  readonly ms: number
  /** What a node that joins, or that an old one gives way to, is like. */
  readonly plan: number
  /** Which of the keys; not there: the first. */
  readonly key?: number
}

/** Of a limit that frees all of it in one window. */
export interface Numbers {
  readonly algorithm: AlgorithmName
  readonly limit: number
  readonly window: number
}

/** What a check decides on where that is more than one limit of one key. */
export interface Several {
  /** A list: of limits besides the first. Scopes: of `ip` and `global`, besides `user`. */
  readonly others: readonly Numbers[]
  readonly scoped: boolean
  /** What the first limit is for the second of the keys: its plan. */
  readonly plan: number
  /** What the reserve holds, of which takes what the limits refuse; 0: there is none. */
  readonly spike: number
  /** The store takes hard checks of all limits at once; otherwise of each by itself, as a Cluster does of scopes. */
  readonly together?: boolean
  /** There are more keys than nodes hold in RAM. */
  readonly crowd?: Crowd
}

export interface Crowd {
  /** So many keys of a limit a node holds, if it can. */
  readonly maxKeys: number
  readonly dryRun: boolean
}

export interface Network {
  readonly latency: number
  /** The most that is added at random, to each message. */
  readonly jitter: number
  readonly requestLoss: number
  readonly replyLoss: number
  readonly duplication: number
  readonly overtaking: boolean
}

/** A schedule of all that happens to a fleet. */
export interface History extends Numbers {
  /** Store time at which it begins. */
  readonly epoch: number
  /** A long window ends while it lasts. */
  readonly endsSlice: boolean
  /** Then nodes are asked much, and flush much, around its end. */
  readonly endsUnderLoad?: boolean
  readonly interval: number
  readonly maxOvershoot: number
  readonly seed: number
  readonly network: Network
  readonly nodes: readonly NodePlan[]
  readonly steps: readonly Step[]
  readonly several?: Several
  /** The cost of each check of a burst with which all nodes begin, before they have heard of anything; not there: none comes. */
  readonly rush?: number
}

export function limitOf({ algorithm, limit, window }: Numbers): Limit {
  switch (algorithm) {
    case 'fixed-window':
      return fixedWindow({ limit, window })
    case 'sliding-window':
      return slidingWindow({ limit, window })
    case 'sliding-log':
      return slidingLog({ limit, window })
    case 'token-bucket':
      return tokenBucket({ capacity: limit, refill: limit, per: window })
    case 'leaky-bucket':
      return leakyBucket({ capacity: limit, leak: limit, per: window })
  }
}

export const ALGORITHMS: readonly AlgorithmName[] = [
  ...(['fixed-window', 'sliding-window', 'sliding-log', 'token-bucket', 'leaky-bucket'] as const),
]

/** What histories of a kind may hold. */
export interface Kind {
  readonly algorithm: AlgorithmName
  readonly modes: readonly NodeMode[]
  /** The acts besides checks, each as often as it is named. */
  readonly acts: readonly Act[]
  /** Whether the window is so long that nothing drains and grows old while a history lasts, though it may begin in it. */
  readonly days?: boolean
  /** Whether checks decide on several limits, by plans and out of a reserve. */
  readonly several?: boolean
  /** More keys are asked for than nodes hold in RAM, and so by some; with several limits only. */
  readonly claims?: readonly Act[] | undefined
  /** Whether some begin with a burst on all nodes. */
  readonly rush?: boolean
}

const HOUR = 3_600_000
const DAY = 24 * HOUR
const EPOCH = 1_800_000_000_000

export const CALM_NETWORK: Network = {
  ...{ latency: 1, jitter: 0, requestLoss: 0, replyLoss: 0, duplication: 0, overtaking: false },
}

/** Old flushes arrive once more, after newer ones. */
const overtakenNetwork: fc.Arbitrary<Network> = fc.record({
  latency: fc.constantFrom(0, 1, 10),
  jitter: fc.constantFrom(50, 90),
  requestLoss: fc.constantFrom(0, 0.1),
  replyLoss: fc.constantFrom(0, 0.1),
  duplication: fc.constantFrom(0.3, 0.6),
  overtaking: fc.constant(true),
})

const roughNetwork: fc.Arbitrary<Network> = fc.record({
  latency: fc.constantFrom(0, 1, 1, 10, 40),
  jitter: fc.constantFrom(0, 0, 5, 50),
  requestLoss: fc.constantFrom(0, 0, 0.1, 0.3),
  replyLoss: fc.constantFrom(0, 0, 0.1, 0.3),
  duplication: fc.constantFrom(0, 0.1, 0.3),
  overtaking: fc.boolean(),
})

const time = (window: fc.Arbitrary<number>, epoch: fc.Arbitrary<number>, endsSlice: boolean) =>
  fc.record({
    window,
    epoch,
    endsSlice: fc.constant(endsSlice),
    endsUnderLoad: endsSlice ? fc.boolean() : fc.constant(false),
  })

/** Several of them pass in a history. */
const shortWindows = time(
  fc.constantFrom(300, 1000),
  fc.oneof(fc.constant(EPOCH), fc.integer({ min: EPOCH, max: EPOCH + 1000 })),
  false,
)

const day = time(fc.constant(DAY), fc.constant(EPOCH), false)
const endOfDay = time(
  fc.constant(DAY),
  fc.nat(800).map((rest) => (Math.floor(EPOCH / DAY) + 1) * DAY - rest),
  true,
)

const limitNumber = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 13, max: 60 }))

/** Where nothing is freed while a history lasts: some are not used up. */
const limitOfDay = fc.oneof(limitNumber, fc.integer({ min: 61, max: 300 }))

const crowd: fc.Arbitrary<Crowd> = fc.record({
  maxKeys: fc.constantFrom(1, 1, 2),
  dryRun: fc.constantFrom(false, false, false, true),
})

/** @param window of them all; none: each has its own */
function several(window: number | undefined, crowded: boolean): fc.Arbitrary<Several> {
  const numbers = fc.record({
    algorithm: fc.constantFrom(...ALGORITHMS),
    limit: limitNumber,
    window: window === undefined ? fc.constantFrom(300, 1000) : fc.constant(window),
  })
  const plan = limitNumber
  const more: { crowd?: fc.Arbitrary<Crowd> } = crowded ? { crowd } : {}
  return fc.oneof(
    fc.record({
      others: fc.array(numbers, { maxLength: 2 }),
      scoped: fc.constant(false),
      plan,
      spike: fc.constantFrom(0, 0, 1, 4),
      together: fc.boolean(),
      ...more,
    }),
    fc.record({
      others: fc.array(numbers, { minLength: 2, maxLength: 2 }),
      scoped: fc.constant(true),
      plan,
      spike: fc.constant(0),
      together: fc.boolean(),
      ...more,
    }),
  )
}

/** Histories of a kind. */
export function histories(kind: Kind): fc.Arbitrary<History> {
  const { algorithm, modes, acts, days = false, claims } = kind
  const more = kind.several === true
  const plan: fc.Arbitrary<NodePlan> = fc.record({
    mode: fc.constantFrom(...modes),
    wall: fc.constantFrom(0, 0, HOUR, -HOUR),
    rate: fc.constantFrom(0, 0, 0.0004, -0.0004),
    waits: fc.boolean(),
  })
  const stepOf = (acts: readonly Act[]): fc.Arbitrary<Step> =>
    fc.record({
      wait: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        { weight: 4, arbitrary: fc.nat(20) },
        { weight: 2, arbitrary: fc.nat(120) },
      ),
      act: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom<Act>('check', 'check', 'check', 'burst') },
        { weight: 1, arbitrary: fc.constantFrom<Act>('load', 'chatter') },
        { weight: claims === undefined ? 2 : 4, arbitrary: fc.constantFrom<Act>(...acts, 'flush') },
      ),
      node: fc.nat(7),
      cost: fc.oneof(
        { weight: 3, arbitrary: fc.constant(1) },
        { weight: 1, arbitrary: fc.integer({ min: 2, max: 6 }) },
      ),
      ms: fc.oneof(fc.nat(100), fc.nat(1500)),
      plan: fc.nat(7),
      // Of more keys one is asked for all that it has.
      ...(more && {
        key: claims ? fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(3)) : fc.nat(3),
      }),
    })
  const stepsOf = (acts: readonly Act[]) =>
    fc.array(stepOf(acts), { minLength: 10, maxLength: 50, size: 'max' })
  const rest = fc.record({
    algorithm: fc.constant(algorithm),
    limit: days ? limitOfDay : limitNumber,
    interval: fc.constantFrom(100, 250),
    maxOvershoot: fc.constantFrom(0, 0.1, 0.5),
    seed: fc.nat(),
    network: fc.oneof(fc.constant(CALM_NETWORK), roughNetwork, overtakenNetwork),
    nodes: fc.array(plan, { minLength: 2, maxLength: 4 }),
    ...(kind.rush && { rush: fc.constantFrom(0, 1, 2, 4) }),
    // What faults leave uncertain hides what becomes of claims: half of the histories have none.
    steps: claims ? fc.oneof(stepsOf([...acts, ...claims]), stepsOf(claims)) : stepsOf(acts),
    ...(more && { several: several(days ? DAY : undefined, claims !== undefined) }),
  })
  // Quota that a node has twice is still there when it is asked for it only where its window lasts.
  const short = claims ? fc.oneof(shortWindows, day, day) : shortWindows
  const times = days ? fc.oneof(day, endOfDay) : short
  return fc.tuple(times, rest).map(([time, others]) => ({ ...time, ...others }))
}
