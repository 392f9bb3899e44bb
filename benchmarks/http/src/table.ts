import { markdownTable } from 'markdown-table'
import { median, type Result } from './result.ts'

/** What `docs/http.md` shows of a result. */
export function costSection(result: Result): string {
  const rows = result.contenders.map(({ framework, limit, rounds }) => {
    const bare = result.contenders.find((other) => other.framework === framework && other.limit === 'none')!
    // Round by round: whatever else the machine did, it did to both.
    const share = median(
      rounds.map((round, place) => round.requestsPerSecond / bare.rounds[place]!.requestsPerSecond),
    )
    const cpu = median(rounds.map((round) => round.cpuMicrosecondsPerRequest))
    const perSecond = median(rounds.map((round) => round.requestsPerSecond))
    return [
      `${framework} ${result.versions[framework]}`,
      limit,
      Math.round(perSecond).toLocaleString('en'),
      `${(100 * share).toFixed(1)} %`,
      `${cpu.toFixed(1)} µs`,
    ]
  })
  const table = markdownTable(
    [['server', 'limit', 'requests a second', 'of those without a limit', 'CPU a request'], ...rows],
    { align: ['l', 'l', 'r', 'r', 'r'] },
  )
  const { machine, load, versions, contenders, date } = result
  const peers = Object.entries(versions)
    .filter(([name]) => name.includes('rate-limit'))
    .map(([name, version]) => `${name} ${version}`)
  return `${table}

Medians of ${contenders[0]!.rounds.length} alternating rounds of ${load.seconds} s over ${load.connections} connections, each server in a fresh process. The share is the
median of the shares in each round. ${peers.join(', ')}; Node ${machine.node}, ${machine.cpus} × ${machine.cpu}, ${date.slice(0, 10)}.`
}

const MARKS = { begin: '<!-- cost -->\n', end: '<!-- /cost -->' }

/** The page with its section on cost replaced. */
export function withCostSection(page: string, section: string): string {
  const begin = page.indexOf(MARKS.begin) + MARKS.begin.length
  const end = page.indexOf(MARKS.end)
  if (begin < MARKS.begin.length || end < begin)
    throw new Error(`the page lacks ${MARKS.begin.trim()} … ${MARKS.end}`)
  return `${page.slice(0, begin)}\n${section}\n\n${page.slice(end)}`
}
