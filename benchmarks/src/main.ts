import { readOrExit } from '@spillway/command-line'
import { readArguments, usage } from './arguments.ts'
import { writePages } from './pages.ts'
import { type CaseResult, isReached, reached, resultOf, writeResult } from './result.ts'
import { runRounds } from './rounds.ts'
import { caseTable, shown } from './tables.ts'

const options = readOrExit('spillway bench', () => readArguments(process.argv.slice(2)))
if (options.help) {
  console.log(usage)
  process.exit(0)
}
if (!options.tables) {
  for (const question of options.questions) {
    const cases: CaseResult[] = []
    for (const theCase of question.cases.filter(({ name }) => name.includes(options.caseText))) {
      const result = {
        name: theCase.name,
        rounds: await runRounds(question, theCase, question.rounds ?? options.rounds, options.share),
        targets: theCase.targets,
        turns: theCase.turns,
      }
      cases.push(result)
      console.log(`\n${theCase.name}\n\n${caseTable(result)}\n`)
      for (const target of theCase.targets) {
        const value = reached(result, target)
        console.log(
          `${isReached(value, target) ? 'reached' : 'MISSED '} ${target.ours}: ${target.measure}${target.to === undefined ? '' : ` to ${target.to}`} = ${shown(value)}, target ${target.atMost === undefined ? `≥ ${shown(target.atLeast!)}` : `≤ ${shown(target.atMost)}`}`,
        )
      }
    }
    if (options.partial) continue
    // After each question: a later one may fail.
    writeResult(resultOf(question.name, question.title, cases))
    await writePages()
  }
} else if (!options.partial) await writePages()
