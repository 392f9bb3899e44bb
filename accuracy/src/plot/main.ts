/** `npm run accuracy:plot`: measures the overshoot at several intervals in the simulator, and draws it for docs/how-it-works.md. */
import { availableParallelism } from 'node:os'
import { readOptions, readOrExit } from '@spillway/command-line'
import { size } from '../jobs.ts'
import { type Job, scenarioOf } from '../measure.ts'
import { results } from '../result.ts'
import { intervals } from '../scenarios.ts'
import { type VariantName, variants } from '../variants.ts'
import { measureAll } from '../workers.ts'
import { writePlot } from '../write.ts'
import { draw, type Point } from './draw.ts'

// There are no arguments: any is an error.
readOrExit('spillway accuracy:plot', () => readOptions(process.argv.slice(2), {}))

const VARIANTS: readonly VariantName[] = ['baseline', 'soft', 'capped', 'leased']

const jobs: Job[] = intervals.flatMap(({ id }) =>
  VARIANTS.map(
    (variant) => ({ scenario: id, algorithm: 'fixed-window', variant, seed: 1, windows: 20 }) as const,
  ),
)
const measured = results(await measureAll(jobs, size, availableParallelism(), () => {}))
const points: Point[] = measured.map((result) => ({
  interval: scenarioOf(result).interval,
  variant: variants[result.variant].title.replaceAll('`', ''),
  overshoot: 100 * result.report.overshoot.mean,
}))
await writePlot('overshoot', await draw(points), points)
for (const { interval, variant, overshoot } of points)
  console.log(`${String(interval).padStart(5)} ms  ${variant.padEnd(26)} ${overshoot.toFixed(2)} %`)
