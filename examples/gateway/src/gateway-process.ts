import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Framework, NodeArguments } from './node-main.ts'

/** A gateway in a process of its own, which can be killed and started again on its port. */
export class GatewayProcess {
  #child: ChildProcess | undefined
  #port = 0

  constructor(
    readonly framework: Framework,
    private readonly redisUrl: string,
    private readonly backendUrl: string,
  ) {}

  get port(): number {
    return this.#port
  }

  /** Resolves once it listens. */
  async start(): Promise<void> {
    const { framework, redisUrl, backendUrl } = this
    const argument: NodeArguments = { framework, redisUrl, backendUrl, port: this.#port }
    this.#child = fork(
      fileURLToPath(new URL('./node-main.ts', import.meta.url)),
      [JSON.stringify(argument)],
      {
        execArgv: ['--conditions', '@spillway/source', '--import', 'tsx'],
        stdio: ['ignore', 2, 2, 'ipc'],
      },
    )
    const died = once(this.#child, 'exit').then(([code, signal]) => {
      throw new Error(`the ${framework} gateway ended with ${signal ?? code} before it listened`)
    })
    const [port] = await Promise.race([once(this.#child, 'message'), died])
    died.catch(() => {}) // later, whoever killed it knows
    this.#port = port
  }

  /** Kills it like a crash: a gateway must not depend on a clean shutdown. */
  async close(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}
