import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createLimiter } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { keyNames } from './keys.ts'
import { expectAdmitted } from './measure.ts'
import { SHARED } from './node-limit.ts'
import type { Contender } from './question.ts'
import { CPU } from './warm-checks.ts'

const MAIN = fileURLToPath(new URL('./node-main.ts', import.meta.url))

interface Told {
  readonly admitted: number
  /** Microseconds of CPU since it last told. */
  readonly cpu: number
}

interface Work {
  /** How many keys all nodes share. */
  readonly keys: number
  /** How many checks each node makes in a turn. */
  readonly checks: number
  readonly warmUp: number
}

/** A node's process, which answers each time it is asked. */
class Node {
  private readonly child: ChildProcess
  private readonly ended: Promise<unknown[]>

  constructor(redisUrl: string, { keys, checks, warmUp }: Work) {
    const args = [redisUrl, keys, checks, warmUp].map(String)
    this.child = fork(MAIN, args, { execArgv: ['--import', 'tsx'] })
    this.ended = once(this.child, 'exit')
  }

  /** @throws Error if it ends instead */
  async told(): Promise<Told> {
    const [first] = await Promise.race([once(this.child, 'message'), this.ended])
    if (typeof first === 'object' && first !== null) return first as Told
    throw new Error(`a node ended with ${first}`)
  }

  ask(what: 'check' | 'end'): Promise<Told> {
    this.child.send(what)
    return this.told()
  }

  stop(): void {
    this.child.kill()
  }
}

/** What Redis has counted of all keys. */
async function countedIn(redisUrl: string, keys: number): Promise<number> {
  const store = redisStore(redisUrl)
  const limiter = createLimiter({ ...SHARED, store })
  let counted = 0
  // A peek tells what would remain after one more check.
  for (const name of keyNames(keys)) counted += SHARED.limit.limit - (await limiter.peek(name)).remaining - 1
  await limiter.close()
  await store.close()
  return counted
}

/** Runs this many nodes over one Redis, each a process of its own, which take turns one after the other. */
export function runNodes(count: number, work: Work): Contender['run'] {
  return async ({ redisUrl, share, turns }) => {
    const checks = Math.ceil(work.checks * share)
    const its = { ...work, checks, warmUp: Math.ceil(work.warmUp * share) }
    const nodes = Array.from({ length: count }, () => new Node(redisUrl, its))
    try {
      await Promise.all(nodes.map((node) => node.told()))
      await turns(async () => {
        let cpu = 0
        for (const node of nodes) {
          const told = await node.ask('check')
          expectAdmitted(told.admitted, checks)
          cpu += told.cpu
        }
        return { [CPU]: (cpu * 1000) / (count * checks) }
      })
      let admitted = 0
      for (const node of nodes) admitted += (await node.ask('end')).admitted
      expectAdmitted(await countedIn(redisUrl, work.keys), admitted)
      return undefined
    } finally {
      for (const node of nodes) node.stop()
    }
  }
}
