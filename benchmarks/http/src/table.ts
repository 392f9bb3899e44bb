import { markdownTable } from 'markdown-table'
import { median, type Result } from './result.ts'

/** What `docs/http.md` shows of a result. */
export function costSection(result: Result): string {
  const rows = result.contenders.map(({ framework, limit, slices }) => {
    const bare = result.contenders.find((other) => other.framework === framework && other.limit === 'none')!
    // Slice by slice: whatever else the machine did, it did to both.
    const share = median(
      slices.map((slice, place) => slice.requestsPerSecond / bare.slices[place]!.requestsPerSecond),
    )
    const cpu = median(slices.map((slice) => slice.cpuMicrosecondsPerRequest))
    const perSecond = median(slices.map((slice) => slice.requestsPerSecond))
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
  const { machine, load, rounds, versions, date } = result
  const peers = Object.entries(versions)
    .filter(([name]) => name.includes('rate-limit'))
    .map(([name, version]) => `${name} ${version}`)
  return `${table}

Medians over ${rounds * load.slices} slices of ${load.sliceSeconds} s with ${load.connections} connections, in ${rounds} rounds of fresh processes that take turns; the share is
the median of each slice's. ${peers.join(', ')}; Node ${machine.node}, ${machine.cpus} × ${machine.cpu}, ${date.slice(0, 10)}.`
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
