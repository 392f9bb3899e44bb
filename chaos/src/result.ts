import { mkdirSync, writeFileSync } from 'node:fs'
import { arch, availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Verdict } from './judge.ts'
import type { LoadVerdict } from './load/load-verdict.ts'
import type { SmokeResult } from './smoke/run-smoke.ts'

const FOLDER = new URL('../results/', import.meta.url)

export interface Result {
  readonly verdicts: readonly Verdict[]
  readonly smoke: readonly SmokeResult[]
  readonly load: readonly LoadVerdict[]
  /** What did not hold, or could not be run. */
  readonly failed: readonly string[]
}

/** Where results were measured, and when. */
export function origin(): { machine: string; date: string } {
  const machine = `${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, ${arch()}, Node ${process.version}`
  return { machine, date: new Date().toISOString() }
}

/** Writes a file in chaos/results. */
export function writeResult(result: Result): void {
  save('chaos.json', { ...origin(), ...result })
}

export function save(name: string, value: object): void {
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(fileURLToPath(new URL(name, FOLDER)), `${JSON.stringify(value, undefined, 2)}\n`)
}
