import { parseArgs } from 'node:util'
import { writePages } from './pages.ts'
import { questions } from './questions.ts'
import { type CaseResult, isReached, reached, resultOf, writeResult } from './result.ts'
import { runRounds } from './rounds.ts'
import { caseTable, shown } from './tables.ts'

const usage = `Usage: npm run bench -- [options]

Measures each question's contenders in alternation, each in a process of its own, writes benchmarks/results
and the tables of README.md and docs/performance.md. With --quick or --case it only prints.

  --only NAME     a question (${questions.map(({ name }) => name).join(', ')}); may be given again
  --case TEXT     only cases whose name contains it
  --rounds N      default 5
  --quick         one round of a fifth of the work
  --tables        only writes the tables, from the results there are
  --help          this text
`
const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    case: { type: 'string', default: '' },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    tables: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  console.log(usage)
  process.exit(0)
}
if (!values.tables) {
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5))
  const asked = questions.filter(({ name }) => values.only?.includes(name) ?? true)
  if (asked.length === 0) {
    console.error(
      `there is no question ${values.only}: there are ${questions.map(({ name }) => name).join(', ')}`,
    )
    process.exit(2)
  }
  for (const question of asked) {
    const cases: CaseResult[] = []
    for (const theCase of question.cases.filter(({ name }) => name.includes(values.case))) {
      const result = {
        name: theCase.name,
        rounds: await runRounds(question, theCase, question.rounds ?? rounds, values.quick ? 0.2 : 1),
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
    if (!values.quick && values.case === '') writeResult(resultOf(question.name, question.title, cases))
  }
}
if (!values.quick && values.case === '') await writePages()
