import { createLimiter, fixedWindow, memoryStore } from '@spillway/core'
import { lruFloor } from '../contenders/floors.ts'
import { draws, keyNames } from '../keys.ts'
import { cpuMicroseconds, expectAdmitted, turn } from '../measure.ts'
import type { Contender, Question } from '../question.ts'

// How the cost of a check grows with the keys, with the nodes that share them, and with the limits on each key.

const LIMIT = 2_000_000_000
const CHECKS = 2 ** 20
const BURST = 256
const COST = 'ns of CPU a check'
const SIZES = [1000, 10_000, 100_000, 1_000_000]
const NODES = [1, 4, 16, 64]
const LIMITS = [1, 2, 3, 4, 5]

type Check = (key: string) => { readonly allowed: boolean }

/** CPU, not time: what settles behind the checks is theirs too, and what else the machine does is not. */
function contender(
  name: string,
  keys: number,
  make: () => { check: Check; warm?: () => Promise<void> },
): Contender {
  return {
    name,
    run: async ({ share }) => {
      const names = keyNames(keys)
      const order = draws('uniform', keys, 2 ** 20)
      const { check, warm } = make()
      for (let first = 0; first < keys; first += BURST) {
        for (const key of names.slice(first, first + BURST)) check(key)
        await turn()
      }
      await warm?.()
      const count = Math.ceil((CHECKS * share) / BURST) * BURST
      let admitted = 0
      let began = 0
      // The first half warms the machine up.
      for (let done = 0; done < 2 * count; ) {
        if (done === count) began = cpuMicroseconds()
        const end = done + BURST
        for (; done < end; done++) if (check(names[order[done % order.length]!]!).allowed) admitted++
        await turn()
      }
      const ns = ((cpuMicroseconds() - began) * 1000) / count
      expectAdmitted(admitted, 2 * count)
      return { [COST]: ns }
    },
  }
}

const limit = fixedWindow({ limit: LIMIT, window: '1h' })

function ofKeys(keys: number): Contender[] {
  const shown = `${keys.toLocaleString('en')} keys`
  return [
    contender(`floor: lru-cache, ${shown}`, keys, () => ({ check: lruFloor(2 * keys, LIMIT, 3_600_000) })),
    contender(`soft, ${shown}`, keys, () => {
      const limiter = createLimiter({ name: 'bench', limit, mode: 'soft', maxKeys: 2 * keys })
      return { check: (key) => limiter.checkSync(key), warm: () => limiter.flush() }
    }),
  ]
}

/** All of them over one store, in one process: each is asked in its turn. */
function ofNodes(nodes: number): Contender {
  return contender(`soft, ${nodes} node${nodes > 1 ? 's' : ''}`, 1000, () => {
    const store = memoryStore()
    const limiters = Array.from({ length: nodes }, () =>
      createLimiter({ name: 'bench', limit, mode: 'soft', store }),
    )
    let turns = 0
    return {
      check: (key) => limiters[turns++ % nodes]!.checkSync(key),
      warm: async () => {
        for (const limiter of limiters) await limiter.flush()
      },
    }
  })
}

function ofLimits(count: number): Contender {
  return contender(`soft, ${count} limit${count > 1 ? 's' : ''}`, 10_000, () => {
    const limits = Array.from({ length: count }, (_, place) =>
      fixedWindow({ limit: LIMIT, window: `${place + 1}h` }),
    )
    const limiter = createLimiter({ name: 'bench', limit: limits, mode: 'soft' })
    return { check: (key) => limiter.checkSync(key), warm: () => limiter.flush() }
  })
}

export const growth: Question = {
  name: 'growth',
  title: 'Growth',
  cases: [
    { name: 'growth with keys', contenders: SIZES.flatMap(ofKeys), targets: [] },
    {
      name: 'growth with nodes, 1,000 keys',
      contenders: NODES.map(ofNodes),
      targets: [{ measure: COST, ours: 'soft, 64 nodes', to: 'soft, 1 node', atMost: 1.25 }],
    },
    { name: 'growth with limits on each of 10,000 keys', contenders: LIMITS.map(ofLimits), targets: [] },
  ],
}
