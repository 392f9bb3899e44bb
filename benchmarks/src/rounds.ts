import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startRedis } from '@spillway/redis-server'
import type { Case, Contender, Measures, Question } from './question.ts'

const MAIN = fileURLToPath(new URL('./contender-main.ts', import.meta.url))

/** A contender's measures, a list entry a round. */
export type Rounds = Record<string, Measures[]>

/** Contenders take turns, each in a process of its own; every other round backwards, so that none always follows the same. */
export async function runRounds(
  question: Question,
  theCase: Case,
  rounds: number,
  share: number,
): Promise<Rounds> {
  const results: Rounds = Object.fromEntries(theCase.contenders.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? theCase.contenders : theCase.contenders.toReversed()
    for (const contender of order) {
      results[contender.name]!.push(await measured(question, theCase, contender, share))
    }
  }
  return results
}

async function measured(
  question: Question,
  theCase: Case,
  contender: Contender,
  share: number,
): Promise<Measures> {
  const redis = theCase.redis ? await startRedis() : undefined
  try {
    return await inProcess([question.name, theCase.name, contender.name, redis?.url ?? 'none', String(share)])
  } finally {
    await redis?.stop()
  }
}

function inProcess(args: string[]): Promise<Measures> {
  return new Promise((resolve, reject) => {
    const child = fork(MAIN, args, { execArgv: ['--expose-gc', '--import', 'tsx'] })
    let measures: Measures | undefined
    child.on('message', (message) => {
      measures = message as Measures
    })
    child.on('error', reject)
    child.on('exit', (code) => {
      if (measures !== undefined) resolve(measures)
      else reject(new Error(`${args.slice(0, 3).join(', ')} ended with ${code} and measured nothing`))
    })
  })
}
