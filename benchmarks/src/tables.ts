import { markdownTable } from 'markdown-table'
import { RATE, type Target, TIME } from './question.ts'
import { type CaseResult, isReached, medianOf, type Result, reached } from './result.ts'

/** A number as a person reads it: three significant digits. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}

function wanted({ to, atLeast, atMost }: Target): string {
  const bound = atMost === undefined ? `≥ ${shown(atLeast!)}` : `≤ ${shown(atMost)}`
  return to === undefined ? bound : `${bound} ×`
}

/** The targets, and what was reached. */
export function targetTable(results: readonly Result[]): string {
  const rows = results.flatMap(({ cases }) =>
    cases.flatMap((theCase) =>
      theCase.targets.map((target) => {
        const value = reached(theCase, target)
        const { ours, to, measure } = target
        const what = to === undefined ? `${ours}: ${measure}` : `${ours}: ${measure}, to ${to}`
        const value_ = to === undefined ? shown(value) : `${shown(value)} ×`
        return [theCase.name, what, wanted(target), value_, isReached(value, target) ? 'yes' : 'no']
      }),
    ),
  )
  return markdownTable([['question', 'measure', 'target', 'measured', 'reached'], ...rows], {
    align: ['l', 'l', 'r', 'r', 'l'],
  })
}

const PEER = 'rate-limiter-flexible'

/** Checks a second, compared with the peer most like it, in the cases in which both did the same work. */
export function peerTable(results: readonly Result[]): string {
  const rows = results.flatMap(({ cases }) =>
    cases.flatMap((theCase) =>
      theCase.targets
        .filter(({ to, measure }) => to?.startsWith(PEER) && (measure === TIME || measure === RATE))
        .map((target) => {
          const { ours, to, measure } = target
          const perSecond = (name: string) => {
            const median = medianOf(theCase.rounds[name], measure)
            return shown(measure === TIME ? 1e9 / median : median)
          }
          const ratio = reached(theCase, target)
          const times = shown(measure === TIME ? 1 / ratio : ratio)
          return [theCase.name, ours, perSecond(ours), perSecond(to as string), `${times} ×`]
        }),
    ),
  )
  const head = ['case', 'Spillway', 'checks a second', PEER, 'times as many']
  return markdownTable([head, ...rows], { align: ['l', 'l', 'r', 'r', 'r'] })
}

/** How many of the targets were reached. */
export function targetsReached(results: readonly Result[]): string {
  const all = results.flatMap(({ cases }) =>
    cases.flatMap((theCase) => theCase.targets.map((target) => isReached(reached(theCase, target), target))),
  )
  return `Of ${all.length} targets for speed, ${all.filter((is) => is).length} are reached.`
}

/** All contenders of a case with all their measures: medians over the rounds. */
export function caseTable({ rounds }: CaseResult): string {
  const measures = [...new Set(Object.values(rounds).flatMap((list) => Object.keys(list[0] ?? {})))]
  const rows = Object.entries(rounds).map(([name, list]) => [
    name,
    ...measures.map((measure) => shown(medianOf(list, measure))),
  ])
  return markdownTable([['', ...measures], ...rows], { align: ['l', ...measures.map(() => 'r')] })
}

/** A question's tables, and the machine on which they were measured. */
export function section(result: Result): string {
  const { machine, date, commit } = result
  const counts = result.cases.map(({ rounds, turns = 1 }) => (Object.values(rounds)[0]?.length ?? 0) / turns)
  const turns = different(result.cases.map((theCase) => theCase.turns ?? 1))
  const inTurns = turns === '1' ? '' : `, ${turns} turns each`
  const tables = result.cases.map((theCase) => `**${theCase.name}**\n\n${caseTable(theCase)}`)
  return `${tables.join('\n\n')}

Medians over ${different(counts)} rounds${inTurns}. ${date.slice(0, 10)}, commit ${commit}, Node ${machine.node}, Redis ${machine.redis}, ${machine.cpus} × ${machine.cpu}.`
}

/** Each number once, such as `10 or 20`. */
function different(numbers: readonly number[]): string {
  return [...new Set(numbers)].sort((one, two) => one - two).join(' or ')
}

/** The page with the text between `<!-- NAME -->` and `<!-- /NAME -->` replaced. */
export function withSection(page: string, name: string, text: string): string {
  const begin = `<!-- ${name} -->`
  const from = page.indexOf(begin)
  const to = page.indexOf(`<!-- /${name} -->`)
  if (from < 0 || to < from) return page
  return `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`
}
