import { UsageError } from '@spillway/command-line'
import { memoryStore, type Store, StoreError } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { findRedisServer, startRedis } from '@spillway/redis-server'
import type { Options } from './arguments.ts'
import { ProcessNode } from './process-node.ts'
import { LocalNode, type Node } from './replay.ts'
import { windowLeft } from './window.ts'

/** The nodes that share the limits, and the store that they share. */
export interface Fleet {
  kind: 'memory' | 'redis'
  /** The store, for the reader of the result. */
  description: string
  nodes: Node[]
  /** The same store, for the demo's own questions. */
  store: Store
}

/** Registers what to do when the demo ends, however it ends; the last one registered is done first. */
export type Defer = (close: () => Promise<unknown>) => void

/** Sets up the nodes that the options ask for. Throws `UsageError` if the given Redis does not answer. */
export async function openFleet({ redis, memory, nodes }: Options, defer: Defer): Promise<Fleet> {
  const own = redis === undefined && !memory ? await startOwnRedis(defer) : undefined
  const url = redis ?? own
  if (url === undefined) return openInMemory(nodes)

  const store = redisStore(url)
  defer(() => store.close())
  const address = withoutCredentials(url)
  if (redis !== undefined) await requireAnswer(store, address)
  const processes = Array.from({ length: nodes }, (_, index) => new ProcessNode(index + 1, url))
  defer(() => Promise.all(processes.map((node) => node.close())))
  process.stderr.write(`started node processes ${processes.map((node) => node.pid).join(', ')}\n`)
  const description = own ? `${address}, started for the demo` : address
  return { kind: 'redis', description, nodes: processes, store }
}

function openInMemory(count: number): Fleet {
  const store = memoryStore()
  const nodes = Array.from({ length: count }, () => new LocalNode(store))
  return { kind: 'memory', description: 'memory', nodes, store }
}

async function startOwnRedis(defer: Defer): Promise<string | undefined> {
  const binary = findRedisServer()
  if (!binary) return undefined
  process.stderr.write(`starting ${binary} on a free loopback port\n`)
  const starting = startRedis({ binary })
  // Registered before it is up: the demo may be interrupted meanwhile.
  defer(async () => (await starting).stop())
  const { url } = await starting
  return url
}

async function requireAnswer(store: Store, address: string): Promise<void> {
  try {
    await windowLeft(store)
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    throw new UsageError(`no usable Redis at ${address}: ${error.message}`)
  }
}

function withoutCredentials(url: string): string {
  const shown = new URL(url)
  shown.username = ''
  shown.password = ''
  return shown.href
}
