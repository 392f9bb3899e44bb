import { readFileSync, writeFileSync } from 'node:fs'
import { CONTENDERS, nameOf } from './contenders.ts'
import { ServerProcess } from './measure.ts'
import { DOCS, JAVASCRIPT_RESULTS } from './paths.ts'
import { type JavaScriptResult, machine, versions } from './result.ts'
import { javaScriptSection, withSection } from './table.ts'

// `pnpm --filter @spillway/benchmark-http run bench:javascript [TURNS]`: what a request costs without sockets.

const TURNS = Number(process.argv[2] ?? 100)
const REQUESTS = { fastify: 2_000, express: 400 }
/** Not measured: what lay still meanwhile is settled first, and in the caches again. */
const AWAKENING = 40
const WARM_UP = 5_000

// A store is called once an interval: here, where there are few requests in one, that would weigh too much.
const inMemory = CONTENDERS.filter(({ limit }) => !limit.includes('Redis'))
const servers = inMemory.map((contender) => ({
  contender,
  process: new ServerProcess(nameOf(contender), ''),
  cpuMicroseconds: [] as number[],
}))
await Promise.all(servers.map((server) => server.process.url()))
for (const server of servers) await server.process.cpuMicrosecondsOf(WARM_UP)
for (let turn = 0; turn < TURNS; turn++) {
  // Every other turn backwards, so that nobody always runs after the same one.
  for (const server of turn % 2 === 1 ? [...servers].reverse() : servers) {
    const requests = REQUESTS[server.contender.framework]
    await server.process.cpuMicrosecondsOf(AWAKENING)
    server.cpuMicroseconds.push((await server.process.cpuMicrosecondsOf(requests)) / requests)
  }
}
await Promise.all(servers.map((server) => server.process.close()))

const result: JavaScriptResult = {
  date: new Date().toISOString(),
  machine: machine(),
  requests: REQUESTS,
  versions: versions(),
  contenders: servers.map(({ contender: { framework, limit }, cpuMicroseconds }) => ({
    ...{ framework, limit },
    cpuMicroseconds: cpuMicroseconds.map((each) => Number(each.toFixed(2))),
  })),
}
writeFileSync(JAVASCRIPT_RESULTS, `${JSON.stringify(result)}\n`)
writeFileSync(DOCS, withSection(readFileSync(DOCS, 'utf8'), 'javascript', javaScriptSection(result)))
console.log(javaScriptSection(result))
