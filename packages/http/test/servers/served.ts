import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { RateLimitOptions } from '@spillway/http'

/** What the audits watch, in every framework alike. */
export interface Around {
  /** Runs just before the limit; `raw` is Node's response where the framework shows it. */
  before?: (raw: ServerResponse | undefined) => void
  /** Runs just behind the limit. */
  after?: () => void
  /** Further limits, behind the first. */
  further?: RateLimitOptions<unknown>[]
}

/** A framework's server that listens, limits and answers `hello`. Its own error handler answers 500 and `CAUGHT`. */
export interface Served {
  readonly url: string
  /** How many requests the handler has seen. */
  readonly handled: () => number
  readonly server: Server
  close(): Promise<void>
}

/** Starts a framework's server with these options for its adapter. */
export type Serve = (options: RateLimitOptions<unknown>, around?: Around) => Promise<Served>

export const GREETING = 'hello'
/** What the framework's own error handlers answer, with the error's message behind. */
export const CAUGHT = 'caught by the framework: '

/** Where a handler counts its calls. */
export class Handled {
  count = 0
  readonly greet = (): string => {
    this.count++
    return GREETING
  }
}

export async function listening(server: Server, handled: Handled): Promise<Served> {
  if (!server.listening) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    handled: () => handled.count,
    server,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
