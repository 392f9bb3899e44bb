import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, release, type } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findRedisServer } from '@spillway/redis-server'
import { quantile } from './measure.ts'
import type { Measures, Target } from './question.ts'
import type { Rounds } from './rounds.ts'

const RESULTS = fileURLToPath(new URL('../results/', import.meta.url))

/** The packages compared, whose versions are noted. */
const PEERS = [
  ...['rate-limiter-flexible', 'express-rate-limit', 'rate-limit-redis', '@upstash/ratelimit'],
  ...['lru-cache', 'ioredis'],
]

export interface CaseResult {
  readonly name: string
  readonly rounds: Rounds
  readonly targets: readonly Target[]
  /** Turns in a round, if contenders take turns: then each list entry of `rounds` is a turn. */
  readonly turns?: number | undefined
}

/** What `results/QUESTION.json` holds. */
export interface Result {
  readonly question: string
  readonly title: string
  readonly date: string
  readonly commit: string
  readonly machine: { cpu: string; cpus: number; node: string; redis: string; system: string }
  readonly versions: Record<string, string>
  readonly cases: readonly CaseResult[]
}

export function resultOf(question: string, title: string, cases: readonly CaseResult[]): Result {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim()
  const changed = git('status', '--porcelain', '--', 'packages', 'benchmarks/src') === '' ? '' : ', changed'
  const redis = execFileSync(findRedisServer()!, ['--version'], { encoding: 'utf8' })
  return {
    question,
    title,
    date: new Date().toISOString(),
    commit: git('rev-parse', '--short', 'HEAD') + changed,
    machine: {
      cpu: cpus()[0]!.model,
      cpus: cpus().length,
      node: process.versions.node,
      redis: /v=(\S+)/.exec(redis)?.[1] ?? redis.trim(),
      system: `${type()} ${release()}`,
    },
    versions: Object.fromEntries(PEERS.map((name) => [name, versionOf(name)])),
    cases,
  }
}

function versionOf(name: string): string {
  let folder = dirname(createRequire(import.meta.url).resolve(name))
  for (;;) {
    try {
      const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
      if (manifest.name === name) return manifest.version
    } catch {}
    folder = dirname(folder)
  }
}

export function writeResult(result: Result): void {
  mkdirSync(RESULTS, { recursive: true })
  writeFileSync(join(RESULTS, `${result.question}.json`), `${JSON.stringify(result, undefined, 1)}\n`)
}

export function readResults(): Result[] {
  const files = readdirSync(RESULTS).filter((name) => name.endsWith('.json'))
  return files.map((name) => JSON.parse(readFileSync(join(RESULTS, name), 'utf8')))
}

/** The median of a measure over the rounds. */
export function medianOf(rounds: readonly Measures[] | undefined, measure: string): number {
  return quantile(
    (rounds ?? []).map((measures) => measures[measure] ?? Number.NaN),
    0.5,
  )
}

/** What a target is judged by: the median of the ratios within each round or turn, or the median of the figures. */
export function reached({ rounds }: CaseResult, { ours, to, measure }: Target): number {
  const mine = rounds[ours] ?? []
  if (to === undefined) return medianOf(mine, measure)
  const ratios = mine.map((measures, round) => measures[measure]! / rounds[to]![round]![measure]!)
  return quantile(ratios, 0.5)
}

export function isReached(value: number, { atLeast = -Infinity, atMost = Infinity }: Target): boolean {
  return value >= atLeast && value <= atMost
}
