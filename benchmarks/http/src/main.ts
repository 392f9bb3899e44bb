import { readFileSync, writeFileSync } from 'node:fs'
import { startRedis } from '@spillway/redis-server'
import { CONTENDERS, nameOf } from './contenders.ts'
import { type Load, measureRound, type Slice } from './measure.ts'
import { DOCS, RESULTS } from './paths.ts'
import { machine, mean, type Result, versions } from './result.ts'
import { costSection, withSection } from './table.ts'

// `pnpm --filter @spillway/benchmark-http run bench [ROUNDS]`: measures, and writes the result and the table in the docs.

const ROUNDS = Number(process.argv[2] ?? 12)
// Many rounds of few slices: processes of one contender differ more from start to start than a process from slice to slice.
const LOAD: Load = { connections: 64, warmUpSeconds: 1, sliceSeconds: 1, slices: 2 }

await using redis = await startRedis()
const slices = new Map<string, Slice[]>(CONTENDERS.map((contender) => [nameOf(contender), []]))
for (let round = 0; round < ROUNDS; round++) {
  for (const framework of ['fastify', 'express']) {
    const names = CONTENDERS.filter((contender) => contender.framework === framework).map(nameOf)
    // Rounds begin with contenders spread evenly over the list, every other goes backwards: alike servers differ by a tenth
    // and more by their places alone. With twice as many rounds as contenders, each has every place as often.
    const first = Math.floor((Math.floor(round / 2) * names.length) / Math.ceil(ROUNDS / 2))
    names.push(...names.splice(0, first))
    if (round % 2 === 1) names.reverse()
    const measured = await measureRound(names, redis.url, LOAD)
    for (const [place, name] of names.entries()) slices.get(name)!.push(...measured[place]!)
    console.error(`round ${round + 1} of ${ROUNDS}: ${framework}`)
  }
}

const result: Result = {
  date: new Date().toISOString(),
  machine: machine(),
  load: LOAD,
  rounds: ROUNDS,
  versions: versions(),
  contenders: CONTENDERS.map((contender) => ({
    framework: contender.framework,
    limit: contender.limit,
    slices: slices.get(nameOf(contender))!,
  })),
}
writeFileSync(RESULTS, `${JSON.stringify(result, null, 2)}\n`)
writeFileSync(DOCS, withSection(readFileSync(DOCS, 'utf8'), 'cost', costSection(result)))
for (const { framework, limit, slices } of result.contenders) {
  console.log(`${framework}: ${limit}`, Math.round(mean(slices.map((slice) => slice.requestsPerSecond))))
}
