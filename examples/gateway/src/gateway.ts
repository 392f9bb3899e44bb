import { startRedis } from '@spillway/redis-server'
import { type Backend, startBackend } from './backend.ts'
import { GatewayProcess } from './gateway-process.ts'
import { startLoadBalancer } from './load-balancer.ts'
import type { Framework } from './node-main.ts'

export const FRAMEWORKS: readonly Framework[] = ['express', 'fastify', 'koa', 'hono']

/** Client → load balancer → gateways → backend, with one Redis beside the gateways. */
export interface Gateway {
  /** The load balancer's URL. */
  readonly url: string
  readonly redisUrl: string
  readonly nodes: readonly GatewayProcess[]
  readonly backend: Backend
  [Symbol.asyncDispose](): Promise<void>
}

/** Starts all of it on free loopback ports: the backend in this process, the others in processes of their own. */
export async function startGateway(): Promise<Gateway> {
  const started: { close(): Promise<void> }[] = []
  const close = async () => {
    for (const part of started.splice(0).reverse()) await part.close()
  }
  try {
    const redis = await startRedis()
    started.push({ close: () => redis.stop() })
    const backend = await startBackend()
    started.push(backend)
    const nodes = FRAMEWORKS.map((framework) => new GatewayProcess(framework, redis.url, backend.url))
    started.push(...nodes)
    await Promise.all(nodes.map((node) => node.start()))
    const balancer = await startLoadBalancer(nodes.map(({ port }) => port))
    started.push(balancer)
    return { url: balancer.url, redisUrl: redis.url, nodes, backend, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}
