import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { answeringPid } from './answering-pid.ts'
import { findRedisServer } from './find.ts'
import { freePort } from './free-port.ts'
import { watchOver } from './watchdog.ts'

/** How to start a server. Everything is optional. */
export interface RedisOptions {
  /** The port to listen on, for instance that of a server that was stopped. Default: a free one. */
  readonly port?: number
  /** Further arguments, such as `['--maxmemory', '10mb']`. They win over the defaults. */
  readonly args?: readonly string[]
  /** Requires this password of clients; it is part of the `url`. */
  readonly password?: string
  /** A folder for the server's files that outlives it. Default: a new one, removed when the server ends. */
  readonly dir?: string
  /** The program. Default: the first `redis-server` or `valkey-server` on the PATH. */
  readonly binary?: string
  /** Runs it as a sentinel, by this configuration file. */
  readonly sentinel?: string
}

/** How a server ended. */
export interface RedisExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A Redis of our own. It ends with this process at the latest. */
export interface RedisServer {
  /** `redis://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Resolves once the server has ended and its folder is gone. Never rejects. */
  readonly exited: Promise<RedisExit>
  /** Ends it as an operator would, so that it saves what it was told to save. Safe to call again. */
  stop(): Promise<void>
  /** Sends it a signal, SIGKILL unless told; `SIGSTOP` and `SIGCONT` make it hang and go on. */
  kill(signal?: NodeJS.Signals): void
  [Symbol.asyncDispose](): Promise<void>
}

const READY_WITHIN_MS = 20_000
const STOP_WITHIN_MS = 5_000
const POLL_MS = 5
const PORT_TRIES = 10

/**
 * Starts a Redis on a loopback port, without persistence, in a folder of its own, and resolves when it
 * answers. Servers that were there before are never touched.
 *
 * @throws Error where no server program is found, or it ends or stays silent; the message has its output.
 * @example
 * ```ts
 * import { startRedis } from '@spillway/redis-server'
 *
 * await using redis = await startRedis()
 * console.log(redis.url)
 * ```
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const binary = options.binary ?? findRedisServer()
  if (!binary) throw new Error('no redis-server or valkey-server on the PATH: install one of them')

  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort())
    const started = await startOn(port, binary, options)
    if ('url' in started) return started
    const portTaken = /address already in use/i.test(started.output)
    if (options.port !== undefined || !portTaken || tries === PORT_TRIES) {
      throw new Error(
        `${binary} did not start on port ${port}: ${started.output.trim() || 'it said nothing'}`,
      )
    }
  }
}

async function startOn(
  port: number,
  binary: string,
  options: RedisOptions,
): Promise<RedisServer | { output: string }> {
  const ownFolder = options.dir === undefined ? await mkdtemp(join(tmpdir(), 'spillway-redis-')) : undefined
  const child = spawn(binary, serverArguments(port, ownFolder ?? options.dir!, options), {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = lastOutput(child)
  const ended = exitOf(child)
  const watchdog = child.pid === undefined ? undefined : watchOver(child.pid, ownFolder)
  const exited = ended.then(async (exit) => {
    watchdog?.kill('SIGKILL')
    if (ownFolder) await rm(ownFolder, { recursive: true, force: true })
    return exit
  })

  let hasExited = false
  void ended.then(() => {
    hasExited = true
  })
  const deadline = performance.now() + READY_WITHIN_MS
  while (child.pid === undefined || (await answeringPid(port, options.password)) !== child.pid) {
    if (performance.now() > deadline) child.kill('SIGKILL')
    if (hasExited || child.pid === undefined || performance.now() > deadline) {
      await exited
      return { output: output() }
    }
    await delay(POLL_MS)
  }

  const stop = async () => {
    child.kill('SIGTERM')
    child.kill('SIGCONT') // one that hangs after SIGSTOP would not see the SIGTERM
    const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
    await exited
    clearTimeout(impatience)
  }
  const credentials = options.password ? `:${encodeURIComponent(options.password)}@` : ''
  return {
    url: `redis://${credentials}127.0.0.1:${port}`,
    port,
    pid: child.pid,
    exited,
    stop,
    kill: (signal = 'SIGKILL') => {
      child.kill(signal)
    },
    [Symbol.asyncDispose]: stop,
  }
}

function serverArguments(port: number, dir: string, options: RedisOptions): string[] {
  const listen = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir]
  if (options.sentinel !== undefined) return [options.sentinel, '--sentinel', ...listen]
  return [
    ...listen,
    ...['--save', '', '--appendonly', 'no'],
    ...(options.password ? ['--requirepass', options.password] : []),
    ...(options.args ?? []),
  ]
}

/** Collects the end of what the server prints, for error messages. Reading it also keeps its pipe empty. */
function lastOutput(child: ChildProcess): () => string {
  let text = ''
  const append = (chunk: string) => {
    text = (text + chunk).slice(-2_000)
  }
  child.stdout?.setEncoding('utf8').on('data', append)
  child.stderr?.setEncoding('utf8').on('data', append)
  child.on('error', (error) => append(error.message))
  return () => text
}

function exitOf(child: ChildProcess): Promise<RedisExit> {
  return new Promise((resolve) => {
    // 'close' comes after the last output; a program that could not be started only reports an error.
    child.once('close', (code, signal) => resolve({ code, signal }))
    child.once('error', () => resolve({ code: null, signal: null }))
  })
}
