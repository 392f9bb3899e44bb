import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Order, Reply } from './messages.ts'
import type { Job, Node, Tally } from './replay.ts'

/** A node in a process of its own, over Redis. */
export class ProcessNode implements Node {
  readonly #redis: string
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  /** Never resolves; rejects when the process ends, or could not be started. */
  readonly #death: Promise<never>

  constructor(number: number, redis: string) {
    this.#redis = redis
    this.#child = fork(fileURLToPath(new URL('./node-main.ts', import.meta.url)), {
      // Advanced, for the maps of a tally. Standard output belongs to the demo's result.
      serialization: 'advanced',
      stdio: ['ignore', 2, 2, 'ipc'],
    })
    this.#death = new Promise((_, reject) => {
      this.#child.once('error', reject)
      this.#child.once('exit', (code, signal) => {
        reject(new Error(`node ${number} died (${signal ?? `exit code ${code}`})`))
      })
    })
    this.#death.catch(() => {}) // whoever asks the node something gets it
    this.#exited = once(this.#child, 'exit').catch(() => {})
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  async prepare(job: Job): Promise<void> {
    await this.#ask({ do: 'prepare', redis: this.#redis, job }, () => {})
  }

  async replay(onServed: (requests: number) => void): Promise<Tally[]> {
    const reply = await this.#ask({ do: 'replay' }, onServed)
    if (reply.did !== 'replay') throw new Error(`a node answered '${reply.did}' to 'replay'`)
    return reply.tallies
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  async #ask(order: Order, onServed: (requests: number) => void): Promise<Reply> {
    const answered = new Promise<Reply>((resolve, reject) => {
      const listen = (reply: Reply) => {
        if (reply.did === 'serve') return onServed(reply.requests)
        this.#child.off('message', listen)
        if (reply.did === 'fail') reject(new Error(reply.message))
        else resolve(reply)
      }
      this.#child.on('message', listen)
    })
    // Without a callback, an order to a dead process would be an 'error' event; the death tells it better.
    this.#child.send(order, () => {})
    return Promise.race([answered, this.#death])
  }
}
