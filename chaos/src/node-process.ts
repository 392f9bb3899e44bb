import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { watchOver } from '@spillway/redis-server'
import type { Answer, Audit, Counts, Job, Journal, Order, Resources, Staleness } from './node/job.ts'
import { readJournal } from './node/journal-file.ts'
import type { Program } from './program.ts'

/** How long an order may take, ms: longer than any fault. */
const PATIENCE = 60_000

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** A node: a process of its own that runs limiters under load, and takes orders. */
export class NodeProcess {
  /** Ended by a fault: what it had pending is lost. */
  killed = false
  private readonly waiting = new Map<number, Waiting>()
  private readonly exited: Promise<unknown>
  private journal: string | undefined
  private id = 0

  private constructor(private readonly child: ChildProcess) {
    this.exited = once(child, 'exit')
    child.on('message', (message) => {
      if (message === 'ready') return
      const answer = message as Answer
      const waiting = this.waiting.get(answer.id)
      this.waiting.delete(answer.id)
      if ('error' in answer) waiting?.reject(new Error(answer.error))
      else waiting?.resolve(answer.value)
    })
    child.on('exit', (code, signal) => {
      const error = new Error(`node ${child.pid} ended: ${signal ?? `exit code ${code}`}`)
      for (const { reject } of this.waiting.values()) reject(error)
      this.waiting.clear()
    })
  }

  static async start(program: Program): Promise<NodeProcess> {
    const child = fork(program.file, {
      execArgv: [...program.flags],
      ...(program.runtime && { execPath: program.runtime }),
      stdio: ['ignore', 2, 2, 'ipc'],
    })
    const watchdog = watchOver(child.pid as number, undefined)
    child.once('exit', () => watchdog.kill('SIGKILL'))
    const node = new NodeProcess(child)
    await Promise.race([
      once(child, 'message'),
      node.exited.then(() => Promise.reject(new Error('a node ended before it was ready'))),
    ])
    return node
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  get exitCode(): number | null {
    return this.child.exitCode
  }

  private order(order: Order): Promise<unknown> {
    const id = ++this.id
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id)
        reject(new Error(`node ${this.child.pid} did not answer '${order.do}' within ${PATIENCE} ms`))
      }, PATIENCE)
      const done =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer)
          settle(value)
        }
      this.waiting.set(id, { resolve: done(resolve), reject: done(reject) })
      this.child.send({ id, order }, () => {})
    })
  }

  async begin(job: Job): Promise<void> {
    this.journal = job.journal
    await this.order({ do: 'begin', job })
  }

  async load(on: boolean): Promise<void> {
    await this.order({ do: 'load', on })
  }

  async enter(phase: 'before' | 'during' | 'after'): Promise<void> {
    await this.order({ do: 'phase', phase })
  }

  async jump(ms: number): Promise<void> {
    await this.order({ do: 'jump', ms })
  }

  async block(ms: number): Promise<void> {
    await this.order({ do: 'block', ms })
  }

  async flush(): Promise<void> {
    await this.order({ do: 'flush' })
  }

  async clear(): Promise<void> {
    await this.order({ do: 'clear' })
  }

  async end(staleness: readonly Staleness[]): Promise<void> {
    await this.order({ do: 'end', staleness })
  }

  async resources(): Promise<Resources> {
    return (await this.order({ do: 'resources' })) as Resources
  }

  /** The version of Node that it runs on. */
  async version(): Promise<string> {
    return (await this.order({ do: 'version' })) as string
  }

  async audit(audit: Audit): Promise<Counts> {
    return (await this.order({ do: 'audit', audit })) as Counts
  }

  /** Brings the journal up to date, and reads it. */
  async report(): Promise<Journal> {
    await this.order({ do: 'report' })
    return this.read()
  }

  /** The journal as the node left it. */
  read(): Journal {
    return readJournal(this.journal as string)
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    this.killed = true
    this.child.kill('SIGKILL')
    await this.exited
  }

  /** Ends it as a deployment would; resolves when it is gone. */
  async terminate(): Promise<void> {
    this.child.kill('SIGTERM')
    await this.exited
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL')
    this.child.kill('SIGCONT')
    if (this.alive) await this.exited
  }
}
