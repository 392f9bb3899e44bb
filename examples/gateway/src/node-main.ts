import type { AddressInfo } from 'node:net'
import { createLimits } from './limits.ts'
import { createExpressGateway } from './nodes/express.ts'
import { createFastifyGateway } from './nodes/fastify.ts'
import type { CreateGateway } from './nodes/gateway-node.ts'
import { createHonoGateway } from './nodes/hono.ts'
import { createKoaGateway } from './nodes/koa.ts'

// One gateway in a process of its own: `node-main.ts '{"framework":…}'`. Tells its parent the port it listens on.

export interface NodeArguments {
  readonly framework: Framework
  readonly redisUrl: string
  readonly backendUrl: string
  /** 0: any free one. */
  readonly port: number
}

export type Framework = 'express' | 'fastify' | 'koa' | 'hono'

const CREATE: Record<Framework, CreateGateway> = {
  express: createExpressGateway,
  fastify: createFastifyGateway,
  koa: createKoaGateway,
  hono: createHonoGateway,
}

const { framework, redisUrl, backendUrl, port } = JSON.parse(process.argv[2] as string) as NodeArguments
const limiters = createLimits(redisUrl)
// One proxy stands before this server and tells the client's address; what the client itself claims is not believed.
const limits = Object.entries(limiters).map(([path, limiter]) => [path, { limiter, trustProxy: 1 }] as const)

const server = await CREATE[framework]({
  name: framework,
  limits: Object.fromEntries(limits),
  async forward(path) {
    const response = await fetch(backendUrl + path)
    return response.text()
  },
})
await Promise.all(Object.values(limiters).map((limiter) => limiter.peek('warm up')))
server.listen(port, '127.0.0.1', () => {
  process.send?.((server.address() as AddressInfo).port)
})
process.on('disconnect', () => process.exit())
