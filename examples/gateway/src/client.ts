import { Agent, get, type IncomingHttpHeaders } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** What a client saw of one request. */
export interface Seen {
  /** When it was sent and answered, in milliseconds of this process. */
  readonly sentAt: number
  readonly answeredAt: number
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A client at a loopback address of its own (such as 127.0.0.2), which keeps its connections open. */
export class Client {
  private readonly agent: Agent

  constructor(readonly address: string) {
    this.agent = new Agent({ keepAlive: true, localAddress: address, maxSockets: 64 })
  }

  /**
   * Sends a request, and once more if a kept connection turns out to be closed: the balancer may close it just as a
   * request leaves, and any client that keeps connections must expect that.
   */
  request(url: string, headers: Record<string, string> = {}): Promise<Seen> {
    return this.send(url, headers, true)
  }

  private send(url: string, headers: Record<string, string>, mayRepeat: boolean): Promise<Seen> {
    const sentAt = performance.now()
    return new Promise((resolve, reject) => {
      const request = get(url, { agent: this.agent, headers }, (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          body += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          const { statusCode = 0, headers } = response
          resolve({ sentAt, answeredAt: performance.now(), status: statusCode, headers, body })
        })
      })
      request.on('error', (error: NodeJS.ErrnoException) => {
        if (mayRepeat && request.reusedSocket && error.code === 'ECONNRESET')
          resolve(this.send(url, headers, false))
        else reject(error)
      })
    })
  }

  /**
   * Sends `rate` requests a second for `durationMs`, whether or not they are answered, and waits for all answers.
   *
   * @param suffices whether what was seen so far is enough; sending goes on until it is
   */
  async load(
    url: string,
    rate: number,
    durationMs: number,
    suffices: (seen: readonly Seen[]) => boolean = () => true,
  ): Promise<Seen[]> {
    const answers: Promise<Seen>[] = []
    const seen: Seen[] = []
    const begin = performance.now()
    for (let elapsed = 0; elapsed < durationMs || !suffices(seen); elapsed = performance.now() - begin) {
      while (answers.length < (elapsed * rate) / 1000) {
        // The client claims another address each time.
        const answer = this.request(url, { 'X-Forwarded-For': `198.51.100.${answers.length % 250}` })
        answers.push(answer)
        // The caller, who waits for all answers, is told of a failure.
        answer.then((one) => seen.push(one)).catch(() => {})
      }
      await delay(5)
    }
    return Promise.all(answers)
  }

  close(): void {
    this.agent.destroy()
  }
}
