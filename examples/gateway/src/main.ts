import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { Client } from './client.ts'
import { startGateway } from './gateway.ts'
import { LIMIT, MODES } from './limits.ts'

parseArgs({}) // There are no arguments: any is an error.

// `npm run gateway`: starts everything, lets a client ask for more than its limit, and shows what it saw.

const RATE = 150
const DURATION_MS = 4_000

await using gateway = await startGateway()
const names = gateway.nodes.map(({ framework }) => framework).join(', ')
console.error(`nginx on ${gateway.url}, before gateways of ${names}; Redis on ${gateway.redisUrl}`)

const client = new Client('127.0.0.2')
const table = new Table({
  head: ['path', 'sent', '200', '429', 'limit', 'reached the backend'],
  style: { head: [], border: [] },
})
await Promise.all(
  MODES.map(async (mode) => {
    const path = `/${mode}`
    const seen = await client.load(gateway.url + path, RATE, DURATION_MS)
    const count = (status: number) => seen.filter((answer) => answer.status === status).length
    table.push([
      path,
      seen.length,
      count(200),
      count(429),
      LIMIT.limit,
      gateway.backend.served.get(path) ?? 0,
    ])
  }),
)
client.close()
console.log(table.toString())
