import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, type } from 'node:os'
import { startRedis } from '@spillway/redis-server'
import { CONTENDERS, nameOf } from './contenders.ts'
import { type Load, measure, type Round } from './measure.ts'
import { DOCS, RESULTS } from './paths.ts'
import { median, type Result } from './result.ts'
import { costSection, withCostSection } from './table.ts'

// `pnpm --filter @spillway/benchmark-http run bench [ROUNDS]`: measures, and writes the result and the table in the docs.

const ROUNDS = Number(process.argv[2] ?? 9)
const LOAD: Load = { connections: 64, warmUpSeconds: 1, seconds: 3 }

await using redis = await startRedis()
const rounds = new Map<string, Round[]>(CONTENDERS.map((contender) => [nameOf(contender), []]))
for (let round = 0; round < ROUNDS; round++) {
  // Every other round backwards, so that nobody always runs after the same one.
  const order = round % 2 === 0 ? CONTENDERS : CONTENDERS.toReversed()
  for (const contender of order) {
    const name = nameOf(contender)
    const measured = await measure(name, redis.url, LOAD)
    rounds.get(name)!.push(measured)
    console.error(`${round + 1}/${ROUNDS} ${name}: ${Math.round(measured.requestsPerSecond)} requests/s`)
  }
}

const result: Result = {
  date: new Date().toISOString(),
  machine: {
    cpu: cpus()[0]!.model,
    cpus: cpus().length,
    node: process.versions.node,
    system: `${type()} ${release()}`,
  },
  load: LOAD,
  versions: Object.fromEntries(
    ['fastify', '@fastify/rate-limit', 'express', 'express-rate-limit'].map((name) => [
      name,
      versionOf(name),
    ]),
  ),
  contenders: CONTENDERS.map((contender) => ({
    framework: contender.framework,
    limit: contender.limit,
    rounds: rounds.get(nameOf(contender))!,
  })),
}
writeFileSync(RESULTS, `${JSON.stringify(result, null, 2)}\n`)
writeFileSync(DOCS, withCostSection(readFileSync(DOCS, 'utf8'), costSection(result)))
for (const { framework, limit, rounds } of result.contenders) {
  console.log(`${framework}: ${limit}`, Math.round(median(rounds.map((round) => round.requestsPerSecond))))
}

function versionOf(name: string): string {
  const manifest = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return JSON.parse(readFileSync(manifest, 'utf8')).version
}
