import type { Client, ClientAddresses } from './client-address.ts'

/** Reads the facts of a request in a framework. `Res`: what comes with the request, such as its response. */
export interface RequestSource<Req, Res> {
  /** The address at the other end of the connection. */
  peer(request: Req, response: Res): string | undefined
  /** A request header by its lower-case name; repeated ones are joined by commas. */
  header(request: Req, name: string): string | undefined
  method(request: Req): string
  /** The pattern of the matched route, `'unmatched'` if none matched, undefined if that is not known. */
  route(request: Req): string | undefined
  /** Calls `listener` once if the client hangs up unanswered, at once if it already has. Returns how to stop. */
  onHangUp(request: Req, response: Res, listener: () => void): () => void
}

/** The facts of a request, in any framework: the second argument of `key` and of the other functions of a request. */
export interface RequestFacts {
  /**
   * The client's address as keys use it: IPv4 as it is, IPv6 as its prefix (`2001:db8::/64`), as `trustProxy` and
   * `ipv6Prefix` say. `'unknown'` on connections without an address, such as Unix sockets.
   */
  readonly address: string
  /** The address as a key, as `byAddress()` gives it: `address:2001:db8::/64`. */
  readonly addressKey: string
  /** In upper case. */
  readonly method: string
  /** The pattern of the matched route; undefined if it is not (yet) known. */
  readonly route: string | undefined
  /** A request header by its name in any case; undefined if it is missing. */
  header(name: string): string | undefined
}

/** Looks up each fact on demand: most requests need one or two. */
export class LazyFacts<Req, Res> implements RequestFacts {
  /** Null: looked up, but not known. */
  private peer: string | null | undefined

  constructor(
    private readonly source: RequestSource<Req, Res>,
    private readonly addresses: ClientAddresses,
    readonly request: Req,
    readonly response: Res,
  ) {}

  /** Looks up the peer's address while it is known: Node forgets it when the connection closes. */
  meet(): void {
    if (this.peer !== undefined) return
    this.peer = null
    try {
      this.peer = this.source.peer(this.request, this.response) ?? null
    } catch {
      // Ignored here: a later lookup, if any, throws the error again.
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
