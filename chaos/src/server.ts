import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RedisServer, startRedis } from '@spillway/redis-server'
import { Redis } from 'ioredis'

/** Acknowledged writes are on disk, so that they survive a kill. */
const KEEPING = ['--appendonly', 'yes', '--appendfsync', 'always']

/** A Redis to be broken, always on the same port. */
export class Server {
  private constructor(
    private redis: RedisServer,
    /** A connection to rule it by, that no fault of the network touches. */
    readonly admin: Redis,
    private readonly dir: string,
    private readonly binary: string | undefined,
    private readonly args: readonly string[],
  ) {}

  static async start(args: readonly string[] = [], binary?: string): Promise<Server> {
    const dir = await mkdtemp(join(tmpdir(), 'spillway-chaos-'))
    const all = [...KEEPING, ...args]
    const redis = await startRedis({ dir, args: all, ...(binary && { binary }) })
    const admin = new Redis(redis.url, { retryStrategy: () => 50, maxRetriesPerRequest: 0 })
    admin.on('error', () => {})
    return new Server(redis, admin, dir, binary, all)
  }

  get port(): number {
    return this.redis.port
  }

  async kill(): Promise<void> {
    this.redis.kill()
    await this.redis.exited
  }

  /** Starts again what was killed. */
  async restart(data: 'kept' | 'lost'): Promise<void> {
    const { dir, args, binary, port } = this
    if (data === 'lost') await rm(join(dir, 'appendonlydir'), { recursive: true, force: true })
    this.redis = await startRedis({ dir, args, port, ...(binary && { binary }) })
    await this.adminReady()
  }

  hang(): void {
    this.redis.kill('SIGSTOP')
  }

  goOn(): void {
    this.redis.kill('SIGCONT')
  }

  private async adminReady(): Promise<void> {
    while (this.admin.status !== 'ready') await new Promise((resolve) => setTimeout(resolve, 10))
  }

  async stop(): Promise<void> {
    this.admin.disconnect()
    await this.redis.stop()
    await rm(this.dir, { recursive: true, force: true })
  }
}
