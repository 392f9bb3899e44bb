import type { Server } from 'node:http'
import type { RateLimitOptions } from '@spillway/http'

/** What a gateway is told. */
export interface GatewayOptions {
  /** The options of the limit of each path. */
  readonly limits: Readonly<Record<string, RateLimitOptions<unknown>>>
  /** Asks the backend. */
  readonly forward: (path: string) => Promise<string>
  /** Says in `X-Served-By` who answered. */
  readonly name: string
}

/** Makes the server of a gateway in one framework. */
export type CreateGateway = (options: GatewayOptions) => Promise<Server>
