import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RedisOptions, type RedisServer, startRedis } from '@spillway/redis-server'
import { Redis } from 'ioredis'

/** Writes reach the operating system before they are acknowledged, so that they survive a kill, if not a power cut. */
const KEEPING = ['--appendonly', 'yes', '--appendfsync', 'no']

/** A Redis to be broken, always on the same port. */
export class Server {
  private constructor(
    private redis: RedisServer,
    /** A connection to control it by, which no network fault touches. */
    readonly admin: Redis,
    private readonly dir: string,
    private readonly options: RedisOptions,
  ) {}

  static async start(options: RedisOptions = {}): Promise<Server> {
    const dir = await mkdtemp(join(tmpdir(), 'spillway-chaos-'))
    const all = { ...options, dir, args: [...KEEPING, ...(options.args ?? [])] }
    const redis = await startRedis(all)
    const admin = new Redis(redis.url, { retryStrategy: () => 50, maxRetriesPerRequest: 0 })
    admin.on('error', () => {})
    return new Server(redis, admin, dir, all)
  }

  get port(): number {
    return this.redis.port
  }

  async kill(): Promise<void> {
    this.redis.kill()
    await this.redis.exited
  }

  /** Starts the killed server again. */
  async restart(data: 'kept' | 'lost'): Promise<void> {
    const { dir, options, port } = this
    if (data === 'lost') await rm(join(dir, 'appendonlydir'), { recursive: true, force: true })
    this.redis = await startRedis({ ...options, port })
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
