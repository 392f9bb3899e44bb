import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type RedisOptions, type RedisServer, startRedis } from './start.ts'

/** What the sentinels call the servers they watch. */
const NAME = 'primary'
const SENTINELS = 3
const PATIENCE_MS = 30_000

/** A primary with two replicas, watched by three sentinels that call it `primary`. */
export interface Sentinels extends AsyncDisposable {
  /** Of the sentinels. */
  readonly addresses: { host: string; port: number }[]
  readonly servers: readonly RedisServer[]
  /** The server that the sentinels hold for the primary. */
  primary(): Promise<RedisServer>
  /** What each server says of its replication, and which one each sentinel holds for the primary: to explain a failure. */
  describe(): Promise<string>
}

/** Its role, data and link, on one line; why it does not answer, if so. */
async function replication(server: RedisServer): Promise<string> {
  const redis = new Redis(server.url, { retryStrategy: () => null, maxRetriesPerRequest: 0 })
  redis.on('error', () => {})
  try {
    const info = await redis.info('replication')
    const lines = info
      .split('\r\n')
      .filter((line) => /^(role|master_(port|link|repl)|second_repl)/.test(line))
    return lines.join(' ')
  } catch (error) {
    return (error as Error).message
  } finally {
    redis.disconnect()
  }
}

/** Starts them all; a primary that vanishes is replaced after a second. */
export async function startSentinels(
  options: Pick<RedisOptions, 'args' | 'binary'> = {},
): Promise<Sentinels> {
  const servers: RedisServer[] = []
  const sentinels: RedisServer[] = []
  const admins: Redis[] = []
  const folder = await mkdtemp(join(tmpdir(), 'spillway-sentinel-'))
  const connected = (server: RedisServer) => {
    const admin = new Redis(server.url, { retryStrategy: () => null, maxRetriesPerRequest: 0 })
    admin.on('error', () => {})
    admins.push(admin)
    return admin
  }
  const dispose = async () => {
    for (const admin of admins) admin.disconnect()
    await Promise.all([...sentinels, ...servers].map((server) => server.stop()))
    await rm(folder, { recursive: true, force: true })
  }
  const until = async (what: string, holds: () => Promise<boolean>) => {
    const deadline = performance.now() + PATIENCE_MS
    while (!(await holds())) {
      if (performance.now() > deadline) throw new Error(`the sentinels did not come to this: ${what}`)
      await delay(20)
    }
  }
  try {
    const first = await startRedis(options)
    servers.push(first)
    const replicaOf = ['--replicaof', '127.0.0.1', String(first.port), '--repl-diskless-sync-delay', '0']
    for (let replica = 0; replica < 2; replica++)
      servers.push(await startRedis({ ...options, args: [...replicaOf, ...(options.args ?? [])] }))
    for (let sentinel = 0; sentinel < SENTINELS; sentinel++) {
      const file = join(folder, `sentinel-${sentinel}.conf`)
      const lines = [
        `sentinel monitor ${NAME} 127.0.0.1 ${first.port} 2`,
        `sentinel down-after-milliseconds ${NAME} 1000`,
        `sentinel failover-timeout ${NAME} 5000`,
      ]
      await writeFile(file, `${lines.join('\n')}\n`)
      sentinels.push(await startRedis({ ...(options.binary && { binary: options.binary }), sentinel: file }))
    }
    const watchers = sentinels.map(connected)
    await until('all know the replicas and each other', async () => {
      const infos = await Promise.all(watchers.map((admin) => admin.info('sentinel')))
      return infos.every((info) => info.includes(`slaves=2,sentinels=${SENTINELS}`))
    })
    const replicas = servers.slice(1).map(connected)
    await until('the replicas follow the primary', async () => {
      const infos = await Promise.all(replicas.map((admin) => admin.info('replication')))
      return infos.every((info) => info.includes('master_link_status:up'))
    })
    return {
      addresses: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
      servers,
      primary: async () => {
        const [, port] = (await (watchers[0] as Redis).call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)) as [
          string,
          string,
        ]
        return servers.find((server) => server.port === Number(port)) as RedisServer
      },
      describe: async () => {
        const told = servers.map(async (server) => `${server.port}: ${await replication(server)}`)
        const held = watchers.map(async (watcher, place) => {
          const address = (await watcher.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)) as string[]
          return `sentinel ${place} holds ${address[1]}`
        })
        return (await Promise.all([...told, ...held])).join('\n')
      },
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}
