import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { arch, availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { withMeasurements } from './failures-page.ts'
import type { Result } from './measured.ts'

const FOLDER = new URL('../results/', import.meta.url)
const PAGE = fileURLToPath(new URL('../../docs/failures.md', import.meta.url))

/** Where results were measured, and when. */
export function origin(): { machine: string; date: string } {
  const machine = `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, ${arch()}, Node ${process.version}`
  return { machine, date: new Date().toISOString() }
}

/** Writes the result of a whole run, and the page of the docs that tells of it. */
export function writeResult(result: Result): void {
  const measured = { ...origin(), ...result }
  save('chaos.json', measured)
  writeFileSync(PAGE, withMeasurements(readFileSync(PAGE, 'utf8'), measured))
}

/** Writes a file in chaos/results. */
export function save(name: string, value: object): void {
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(fileURLToPath(new URL(name, FOLDER)), `${JSON.stringify(value, undefined, 2)}\n`)
}
