import type { Server } from 'node:http'
import { Duplex } from 'node:stream'

const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n')

/**
 * A connection that is no socket: what a server does for a request is then JavaScript alone, without what the kernel
 * adds, which varies more than what is to be measured.
 */
export class Wire extends Duplex {
  readonly remoteAddress = '127.0.0.1'
  private answered: () => void = () => {}

  constructor(server: Server) {
    super()
    server.emit('connection', this)
  }

  /** Asks so many times, each time once the last answer is there. */
  ask(times: number): Promise<void> {
    return new Promise((resolve) => {
      let left = times
      this.answered = () => {
        if (--left === 0) resolve()
        else setImmediate(() => this.push(REQUEST))
      }
      this.push(REQUEST)
    })
  }

  // Servers of node:http set these on a connection.
  setTimeout(): this {
    return this
  }
  setNoDelay(): this {
    return this
  }
  setKeepAlive(): this {
    return this
  }

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
    this.answered()
  }

  override _writev(_chunks: unknown, done: () => void): void {
    done()
    this.answered()
  }
}
