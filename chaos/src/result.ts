import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { arch, availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { withMeasurements } from './failures-page.ts'
import type { Claim } from './judge.ts'
import type { Origin, Result, Soak } from './measured.ts'

const FOLDER = new URL('../results/', import.meta.url)
const FILE = fileURLToPath(new URL('chaos.json', FOLDER))
const SOAK = fileURLToPath(new URL('soak.json', FOLDER))
const PAGE = fileURLToPath(new URL('../../docs/failures.md', import.meta.url))

/** Where results were measured, and when. */
export function origin(): Origin {
  const machine = `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, ${arch()}, Node ${process.version}`
  return { machine, date: new Date().toISOString() }
}

/**
 * Writes results, keeping earlier ones of what was not run again, and the page of the docs about them.
 *
 * @param order the names of all cases
 */
export function writeResult(result: Result, order: readonly string[]): void {
  const earlier: Result = existsSync(FILE)
    ? JSON.parse(readFileSync(FILE, 'utf8'))
    : { verdicts: [], smoke: [], load: [], failed: [] }
  const merged = <T>(name: (item: T) => string, old: readonly T[], fresh: readonly T[]): T[] => {
    const items = new Map([...old, ...fresh].map((item) => [name(item), item]))
    const place = (item: T) => order.indexOf(name(item))
    return [...items.values()]
      .filter((item) => place(item) >= 0)
      .sort((one, other) => place(one) - place(other))
  }
  const verdicts = merged(({ fault }) => fault, earlier.verdicts, result.verdicts)
  const smoke = merged(({ setting }) => `smoke: ${setting.name}`, earlier.smoke, result.smoke)
  const load = merged(({ name }) => `load: ${name}`, earlier.load, result.load)
  const failed = [
    ...verdicts.filter(({ holds }) => !holds).map(({ fault }) => fault),
    ...smoke.filter(({ holds }) => !holds).map(({ setting }) => `smoke: ${setting.name}`),
    ...load.filter(({ claims }) => claims.some(({ holds }) => !holds)).map(({ name }) => `load: ${name}`),
  ]
  save(FILE, { ...origin(), verdicts, smoke, load, failed })
  writePage()
}

/** Replaces the last soak's result, and writes the page. */
export function writeSoak(soak: Soak): void {
  save(SOAK, soak)
  writePage()
}

function writePage(): void {
  const page = readFileSync(PAGE, 'utf8')
  const [chaos, soak] = [FILE, SOAK].map((file) => JSON.parse(readFileSync(file, 'utf8')))
  writeFileSync(PAGE, withMeasurements(page, chaos, soak))
}

/** Writes a file in chaos/results. Keeps only claims that did not hold, since the others are many. */
function save(file: string, value: object): void {
  mkdirSync(FOLDER, { recursive: true })
  const failed = (key: string, item: unknown) =>
    key === 'claims' ? (item as readonly Claim[]).filter(({ holds }) => !holds) : item
  writeFileSync(file, `${JSON.stringify(value, failed, 2)}\n`)
}
