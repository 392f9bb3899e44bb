import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'

/** What one contender did in one round. */
export interface Round {
  readonly requestsPerSecond: number
  /** User and system time of the server's process. */
  readonly cpuMicrosecondsPerRequest: number
}

export interface Load {
  readonly connections: number
  readonly warmUpSeconds: number
  readonly seconds: number
}

/** Starts the contender in a fresh process, warms it up and loads it. */
export async function measure(name: string, redisUrl: string, load: Load): Promise<Round> {
  const child = fork(fileURLToPath(new URL('./server-main.ts', import.meta.url)), [name, redisUrl], {
    // No '@spillway/source': what is measured is what is published.
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 2, 2, 'ipc'],
  })
  const exited = once(child, 'exit')
  const died = exited.then(([code, signal]) => {
    throw new Error(`the server of ${name} ended with ${signal ?? code}`)
  })
  died.catch(() => {}) // at the end it is told to
  try {
    const [port] = await Promise.race([once(child, 'message'), died])
    const url = `http://127.0.0.1:${port}`
    const cpuMicroseconds = async (): Promise<number> => {
      child.send('cpu')
      const [used] = await once(child, 'message')
      return used
    }
    await requests(url, load.connections, load.warmUpSeconds)
    const before = await cpuMicroseconds()
    const { perSecond, total } = await requests(url, load.connections, load.seconds)
    return {
      requestsPerSecond: perSecond,
      cpuMicrosecondsPerRequest: ((await cpuMicroseconds()) - before) / total,
    }
  } finally {
    child.kill()
    await exited
  }
}

async function requests(
  url: string,
  connections: number,
  duration: number,
): Promise<{ perSecond: number; total: number }> {
  const result = await autocannon({ url, connections, duration })
  if (result.errors + result.non2xx + result.timeouts > 0) {
    throw new Error(`${url}: ${result.errors} errors, ${result.timeouts} timeouts, ${result.non2xx} refusals`)
  }
  const total = result.requests.total
  return { perSecond: total / result.duration, total }
}
