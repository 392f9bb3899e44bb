import { readFileSync } from 'node:fs'
import { cpus, release, type } from 'node:os'
import type { Load, Slice } from './measure.ts'

export interface Machine {
  readonly cpu: string
  readonly cpus: number
  readonly node: string
  readonly system: string
}

/** This one. */
export function machine(): Machine {
  return {
    cpu: cpus()[0]!.model,
    cpus: cpus().length,
    node: process.versions.node,
    system: `${type()} ${release()}`,
  }
}

const COMPARED = ['fastify', '@fastify/rate-limit', 'express', 'express-rate-limit']

/** Of what is compared. */
export function versions(): Record<string, string> {
  return Object.fromEntries(
    COMPARED.map((name) => {
      const manifest = new URL(`../node_modules/${name}/package.json`, import.meta.url)
      return [name, JSON.parse(readFileSync(manifest, 'utf8')).version]
    }),
  )
}

/** What a run measured: `results/cost.json`. */
export interface Result {
  readonly date: string
  readonly machine: Machine
  readonly load: Load
  readonly rounds: number
  /** Versions of what was compared. */
  readonly versions: Readonly<Record<string, string>>
  readonly contenders: readonly {
    readonly framework: string
    readonly limit: string
    readonly slices: readonly Slice[]
  }[]
}

/** What requests cost without sockets: `results/javascript.json`. */
export interface JavaScriptResult {
  readonly date: string
  readonly machine: Machine
  /** Of how many requests a turn is, by framework. */
  readonly requests: Readonly<Record<string, number>>
  readonly versions: Readonly<Record<string, string>>
  readonly contenders: readonly {
    readonly framework: string
    readonly limit: string
    /** Of each turn, a request. */
    readonly cpuMicroseconds: readonly number[]
  }[]
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((one, other) => one - other)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] as number)) / 2
}

export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length
}
