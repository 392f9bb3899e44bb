import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/**
 * V8's space for what is new begins at 1 MB, and grows up to 16 as enough in it happens to live on: a process in which it
 * has not served up to 40 % fewer requests than another of the same contender. So all begin with 16.
 */
const NEW_SPACE = '--min-semi-space-size=16'

/** What one contender did in one slice of time. */
export interface Slice {
  readonly requestsPerSecond: number
  /** User and system time of the server's process. */
  readonly cpuMicrosecondsPerRequest: number
}

export interface Load {
  readonly connections: number
  /** Directly before each slice: for how long a server had rested before told on what it did in the slice. */
  readonly warmUpSeconds: number
  /** Each contender in turn gets so long, so often, before the processes are replaced. */
  readonly sliceSeconds: number
  readonly slices: number
}

/**
 * One round: each contender in a fresh process of its own, loaded in turn, slice by slice, so that whatever else the
 * machine does is done to all of them.
 */
export async function measureRound(
  names: readonly string[],
  redisUrl: string,
  load: Load,
): Promise<Slice[][]> {
  const servers = names.map((name) => new ServerProcess(name, redisUrl))
  try {
    const urls = await Promise.all(servers.map((server) => server.url()))
    const measured: Slice[][] = names.map(() => [])
    for (let slice = 0; slice < load.slices; slice++) {
      for (const [place, server] of servers.entries()) {
        const url = urls[place] as string
        await requests(url, load.connections, load.warmUpSeconds)
        const before = await server.cpuMicroseconds()
        const { perSecond, total } = await requests(url, load.connections, load.sliceSeconds)
        const used = (await server.cpuMicroseconds()) - before
        measured[place]!.push({ requestsPerSecond: perSecond, cpuMicrosecondsPerRequest: used / total })
      }
    }
    return measured
  } finally {
    await Promise.all(servers.map((server) => server.close()))
  }
}

export class ServerProcess {
  private readonly child: ChildProcess
  private readonly exited: Promise<unknown>
  private readonly died: Promise<never>

  constructor(name: string, redisUrl: string) {
    this.child = fork(fileURLToPath(new URL('./server-main.ts', import.meta.url)), [name, redisUrl], {
      // No '@spillway/source': what is measured is what is published.
      execArgv: ['--import', 'tsx', NEW_SPACE],
      stdio: ['ignore', 2, 2, 'ipc'],
    })
    this.exited = once(this.child, 'exit')
    this.died = this.exited.then(() => {
      throw new Error(`the server of ${name} ended`)
    }) as Promise<never>
    this.died.catch(() => {}) // at the end it is told to
  }

  async url(): Promise<string> {
    return `http://127.0.0.1:${await this.message()}`
  }

  async cpuMicroseconds(): Promise<number> {
    this.child.send(0)
    return this.message()
  }

  /** @returns the CPU time that so many requests took which come by no socket */
  async cpuMicrosecondsOf(requests: number): Promise<number> {
    this.child.send(requests)
    return this.message()
  }

  async close(): Promise<void> {
    this.child.kill()
    await this.exited
  }

  private async message(): Promise<number> {
    const [value] = await Promise.race([once(this.child, 'message'), this.died])
    return value
  }
}

/** Loads with wrk: a load generator in JavaScript would need more CPU than the servers it measures. */
async function requests(
  url: string,
  connections: number,
  seconds: number,
): Promise<{ perSecond: number; total: number }> {
  const args = ['--threads', '1', '--connections', String(connections), '--duration', `${seconds}s`, url]
  const { stdout } = await promisify(execFile)('wrk', args).catch((cause: unknown) => {
    throw new Error('the benchmark loads servers with wrk: run `sudo apt-get install wrk` or its like', {
      cause,
    })
  })
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${url}: ${stdout}`)
  const number = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1])
  return { perSecond: number(/Requests\/sec:\s+([\d.]+)/), total: number(/(\d+) requests in/) }
}
