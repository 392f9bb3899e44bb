import type { Server } from 'node:http'
import type { RateLimitOptions } from '@spillway/http'

export interface GatewayOptions {
  /** The rate limit's options for each path. */
  readonly limits: Readonly<Record<string, RateLimitOptions<unknown>>>
  /** Asks the backend. */
  readonly forward: (path: string) => Promise<string>
  /** The name to answer with in `X-Served-By`. */
  readonly name: string
}

/** Makes the server of a gateway in one framework. */
export type CreateGateway = (options: GatewayOptions) => Promise<Server>
