import { seededRandom } from '@spillway/core/testing'
import { markdownTable } from 'markdown-table'
import type { Slice } from './measure.ts'
import { type JavaScriptResult, mean, median, type Result } from './result.ts'

/** What `docs/http.md` shows of a result. */
export function costSection(result: Result): string {
  const rows = result.contenders.map(({ framework, limit, slices }) => {
    const bare = result.contenders.find((other) => other.framework === framework && other.limit === 'none')!
    const cpu = mean(slices.map((slice) => slice.cpuMicrosecondsPerRequest))
    // Starts fall into groups: a median jumps from one to the other.
    const perSecond = mean(slices.map(rate))
    const share = perSecond / mean(bare.slices.map(rate))
    const [least, most] = shareInterval(slices, bare.slices, result.load.slices)
    return [
      `${framework} ${result.versions[framework]}`,
      limit,
      Math.round(perSecond).toLocaleString('en'),
      `${(100 * share).toFixed(1)} %`,
      limit === 'none' ? '' : `${(100 * least).toFixed(0)} to ${(100 * most).toFixed(0)} %`,
      `${cpu.toFixed(1)} µs`,
    ]
  })
  const head = ['server', 'limit', 'requests a second', 'of those without a limit', '95 %', 'CPU a request']
  const table = markdownTable([head, ...rows], { align: ['l', 'l', 'r', 'r', 'r', 'r'] })
  const { load, rounds } = result
  return `${table}

Means over ${rounds * load.slices} slices of ${load.sliceSeconds} s with ${load.connections} connections, in ${rounds} rounds of fresh processes that take turns. Rounds
drawn anew of these, 95 of 100 shares lie where the table says: what lies closer together tells nothing.${placeOfExpress(result)} ${origin(result)}`
}

function rate({ requestsPerSecond }: Slice): number {
  return requestsPerSecond
}

const DRAWS = 2000

/** Within which 95 of 100 shares lie of rounds that are drawn anew of those: a percentile bootstrap. */
function shareInterval(slices: readonly Slice[], bare: readonly Slice[], perRound: number): [number, number] {
  const random = seededRandom(1)
  const rounds = Math.ceil(slices.length / perRound)
  const shares = Array.from({ length: DRAWS }, () => {
    const drawn = Array.from({ length: rounds }, () => Math.floor(random() * rounds) * perRound)
    const of = (all: readonly Slice[]) =>
      mean(drawn.flatMap((first) => all.slice(first, first + perRound)).map(rate))
    return of(slices) / of(bare)
  })
  shares.sort((one, other) => one - other)
  return [shares[Math.floor(0.025 * DRAWS)]!, shares[Math.floor(0.975 * DRAWS)]!]
}

/** What `docs/http.md` shows of requests without sockets. */
export function javaScriptSection(result: JavaScriptResult): string {
  const rows = result.contenders.map(({ framework, limit, cpuMicroseconds }) => {
    const bare = result.contenders.find((other) => other.framework === framework && other.limit === 'none')!
    const share = median(cpuMicroseconds.map((each, turn) => each / bare.cpuMicroseconds[turn]!))
    return [framework, limit, `${median(cpuMicroseconds).toFixed(1)} µs`, `${(100 * share).toFixed(1)} %`]
  })
  const table = markdownTable(
    [['server', 'limit', 'JavaScript a request', 'of that without a limit'], ...rows],
    { align: ['l', 'l', 'r', 'r'] },
  )
  const turns = result.contenders[0]!.cpuMicroseconds.length
  const requests = Object.entries(result.requests).map(([framework, each]) => `${each} (${framework})`)
  return `${table}

Medians of CPU time over ${turns} turns of ${requests.join(' and ')} requests; the share is the median of each turn's.${placeOfExpress(result)} ${origin(result)}`
}

type Told = Pick<Result, 'contenders' | 'versions' | 'machine' | 'date'>

/** Results of before 2026-11-28 have it by `app.use` only. */
function placeOfExpress({ contenders }: Pick<Told, 'contenders'> | JavaScriptResult): string {
  if (contenders.some(({ limit }) => limit.endsWith('by app.use')))
    return ' In Express the limit stands on the route, but where it says `app.use`.'
  return contenders.some(({ framework }) => framework === 'express')
    ? ' In Express the limit stands before all routes, by `app.use`.'
    : ''
}

/** Which versions, on which machine, and when. */
function origin({ versions, machine, date }: Omit<Told, 'contenders'>): string {
  const peers = Object.entries(versions)
    .filter(([name]) => name.includes('rate-limit'))
    .map(([name, version]) => `${name} ${version}`)
  return `${peers.join(', ')}; Node ${machine.node}, ${machine.cpus} × ${machine.cpu}, ${date.slice(0, 10)}.`
}

/** The page with its section of that name replaced. */
export function withSection(page: string, name: string, section: string): string {
  const marks = { begin: `<!-- ${name} -->\n`, end: `<!-- /${name} -->` }
  const begin = page.indexOf(marks.begin) + marks.begin.length
  const end = page.indexOf(marks.end)
  if (begin < marks.begin.length || end < begin)
    throw new Error(`the page lacks ${marks.begin.trim()} … ${marks.end}`)
  return `${page.slice(0, begin)}\n${section}\n\n${page.slice(end)}`
}
