import type { Client, ClientAddresses } from './client-address.ts'

/** Where a framework keeps what is needed of a request. `Res`: what comes with it, such as its response. */
export interface RequestSource<Req, Res> {
  /** The address at the other end of the connection. */
  peer(request: Req, response: Res): string | undefined
  /** A request header by its lower-case name; repeated ones joined by commas. */
  header(request: Req, name: string): string | undefined
  method(request: Req): string
  /** The pattern of the matched route, `'unmatched'` where none matched, undefined where that can't be told. */
  route(request: Req): string | undefined
  /** Calls back once if the client goes away before it is answered, at once if it has gone; returns how to stop. */
  onHangUp(request: Req, response: Res, listener: () => void): () => void
}

/**
 * What can be told of a request whatever the framework: the second argument of `key` and the other functions
 * of a request.
 */
export interface RequestFacts {
  /**
   * The client's address as a key takes it: IPv4 as it is, IPv6 as its prefix (`2001:db8::/64`), by `trustProxy`
   * and `ipv6Prefix`. `'unknown'` on connections that have none, such as Unix sockets.
   */
  readonly address: string
  /** The address as a key, as `byAddress()` gives it: `address:2001:db8::/64`. */
  readonly addressKey: string
  /** In capitals. */
  readonly method: string
  /** The pattern of the matched route; undefined where it is not known (yet). */
  readonly route: string | undefined
  /** A request header by its name in any case; undefined where it is missing. */
  header(name: string): string | undefined
}

/** Looks each fact up when it is asked for: most requests need one or two. */
export class LazyFacts<Req, Res> implements RequestFacts {
  /** Null: asked, and not told. */
  private peer: string | null | undefined

  constructor(
    private readonly source: RequestSource<Req, Res>,
    private readonly addresses: ClientAddresses,
    readonly request: Req,
    readonly response: Res,
  ) {}

  /** Looks up where the request comes from while that can be told: Node forgets it as the connection closes. */
  meet(): void {
    if (this.peer !== undefined) return
    this.peer = null
    try {
      this.peer = this.source.peer(this.request, this.response) ?? null
    } catch {
      // Where it can't be told, whoever asks is told why.
    }
  }

  get address(): string {
    return this.client.address
  }

  get addressKey(): string {
    return this.client.key
  }

  private get client(): Client {
    const { source, request, response, addresses } = this
    const forwardedFor = addresses.trusting ? source.header(request, 'x-forwarded-for') : undefined
    return addresses.client(this.peer ?? source.peer(request, response), forwardedFor)
  }

  get method(): string {
    return this.source.method(this.request)
  }

  get route(): string | undefined {
    return this.source.route(this.request)
  }

  header(name: string): string | undefined {
    return this.source.header(this.request, name.toLowerCase())
  }
}
