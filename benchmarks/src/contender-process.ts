import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type RedisServer, startRedis } from '@spillway/redis-server'
import type { Case, Contender, Measures, Question } from './question.ts'

const MAIN = fileURLToPath(new URL('./contender-main.ts', import.meta.url))

/** A contender's process, and its own Redis. */
export class ContenderProcess {
  private readonly ended: Promise<number | null>

  private constructor(
    private readonly contender: Contender,
    private readonly child: ChildProcess,
    private readonly redis: RedisServer | undefined,
  ) {
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('exit', resolve)
    })
  }

  static async start(
    question: Question,
    theCase: Case,
    contender: Contender,
    share: number,
  ): Promise<ContenderProcess> {
    const redis = theCase.redis ? await startRedis() : undefined
    const args = [question.name, theCase.name, contender.name, redis?.url ?? 'none', String(share)]
    const child = fork(MAIN, args, { execArgv: ['--expose-gc', '--import', 'tsx'] })
    return new ContenderProcess(contender, child, redis)
  }

  /** What it says next. @throws Error if it ends instead */
  async answer(): Promise<Measures> {
    const answered = new Promise<Measures>((resolve) => this.child.once('message', resolve as () => void))
    const first = await Promise.race([answered, this.ended])
    if (first !== null && typeof first === 'object') return first
    throw new Error(`${this.contender.name} ended with ${first} and measured nothing`)
  }

  /** Lets it have a turn. */
  turn(): Promise<Measures> {
    this.child.send(true)
    return this.answer()
  }

  /** Tells it that it has had its last turn. @throws Error if it finds that it decided wrongly */
  async end(): Promise<void> {
    this.child.send(false)
    const code = await this.ended
    if (code !== 0) throw new Error(`${this.contender.name} ended with ${code}`)
  }

  /** Stops it, even in the middle of a turn. */
  async stop(): Promise<void> {
    this.child.kill()
    await this.ended
    await this.redis?.stop()
  }
}
