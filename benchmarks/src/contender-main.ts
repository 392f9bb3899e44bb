import type { Measures } from './question.ts'
import { questions } from './questions.ts'

// The process of one contender: `contender-main.ts QUESTION CASE CONTENDER REDIS SHARE`. Answers over IPC with what it
// measured; or, if it takes turns, with nothing when it is ready, and then with what each turn measured.

const [questionName, caseName, contenderName, redisUrl, share] = process.argv.slice(2)
const question = questions.find(({ name }) => name === questionName)
const theCase = question?.cases.find(({ name }) => name === caseName)
const contender = theCase?.contenders.find(({ name }) => name === contenderName)
if (contender === undefined) throw new Error(`there is no ${questionName}, ${caseName}, ${contenderName}`)

/** Resolves when the other side has it: a process that ends before that would say nothing. */
function answer(measures: Measures | undefined): Promise<void> {
  return new Promise((resolve) => process.send!(measures ?? {}, () => resolve()))
}

function isMyTurn(): Promise<boolean> {
  return new Promise((resolve) => process.once('message', resolve as (message: unknown) => void))
}

async function turns(measure: () => Promise<Measures>): Promise<void> {
  let measures: Measures | undefined
  for (;;) {
    // Listens before the other side can say it.
    const next = isMyTurn()
    await answer(measures)
    if (!(await next)) return
    measures = await measure()
  }
}

const measures = await contender.run({ redisUrl: redisUrl!, share: Number(share), turns })
if (measures !== undefined) await answer(measures)
process.exit(0)
