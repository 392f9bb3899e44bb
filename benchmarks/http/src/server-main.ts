import type { AddressInfo } from 'node:net'
import { CONTENDERS, nameOf } from './contenders.ts'
import { Wire } from './wire.ts'

// One contender in a process of its own: `server-main.ts NAME REDIS_URL`. Tells its parent the port it listens on, and
// what CPU time it has used whenever it is asked; a number has it answer so many requests first that come by no socket.

const [, , name, redisUrl] = process.argv as [string, string, string, string]
const contender = CONTENDERS.find((each) => nameOf(each) === name)
if (contender === undefined) throw new Error(`there is no contender ${name}`)

const server = await contender.create(redisUrl)
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
const wire = new Wire(server)
process.on('message', async (requests: number) => {
  const before = requests > 0 ? process.cpuUsage() : undefined
  if (requests > 0) await wire.ask(requests)
  const { user, system } = process.cpuUsage(before)
  process.send?.(user + system)
})
process.on('disconnect', () => process.exit())
