import type { IncomingMessage } from 'node:http'
import proxyAddr from '@fastify/proxy-addr'
import { ConfigError } from '@spillway/core'
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'
import { isPromise } from './awaitable.ts'
import { optionError } from './option-error.ts'

/**
 * Which proxies' `X-Forwarded-For` is believed: how many proxies stand before this server; or their addresses and
 * subnets (also `'loopback'`, `'linklocal'`, `'uniquelocal'`); or a function of an address (IPv4 always in IPv4
 * notation, without port or zone) and of its distance in hops (0: the other end of the connection). `false`: none.
 */
export type TrustProxy =
  | false
  | number
  | string
  | readonly string[]
  | ((address: string, hop: number) => boolean)

export const UNKNOWN_ADDRESS = 'unknown'

/** `1.2.3.4`, `1.2.3.4:80`, `[2001:db8::1]`, `[2001:db8::1]:80` or a bare IPv6 address, with a zone or without. */
const WITH_PORT = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+)(?::\d+)?)$/

/** How many clients' addresses are kept parsed: clients come again, and parsing is most of the cost. */
const CLIENTS_KEPT = 10_000

/** The longest text of an address, with brackets, zone and port. Anything longer is garbage and not worth keeping. */
const LONGEST_ADDRESS = 100

/** A client, identified by its address. */
export interface Client {
  readonly address: string
  /** The key it is counted by. The same string each time, so that looking it up compares pointers only. */
  readonly key: string
}

const UNKNOWN_CLIENT = clientAt(UNKNOWN_ADDRESS)

/** Tells clients apart by their addresses. */
export class ClientAddresses {
  private readonly trust: ((address: string, hop: number) => boolean) | undefined
  private readonly known = new LRUCache<string, Client>({ max: CLIENTS_KEPT })

  /** @throws ConfigError `ERR_OPTION` */
  constructor(
    trustProxy: TrustProxy = false,
    private readonly ipv6Prefix = 64,
  ) {
    this.trust = trustOf(trustProxy)
    if (!Number.isInteger(ipv6Prefix) || ipv6Prefix < 1 || ipv6Prefix > 128) {
      throw optionError('ipv6Prefix', ipv6Prefix, 'give an integer from 1 to 128')
    }
  }

  /** Whether `X-Forwarded-For` is looked at. */
  get trusting(): boolean {
    return this.trust !== undefined
  }

  /**
   * The client is the furthest valid address, going from the connection outwards and stopping after the first one that
   * is not a trusted proxy.
   */
  client(peer: string | undefined, forwardedFor: string | undefined): Client {
    if (this.trust === undefined || forwardedFor === undefined) return this.at(peer) ?? UNKNOWN_CLIENT
    const chain = proxyAddr.all(
      {
        headers: { 'x-forwarded-for': forwardedFor },
        socket: { remoteAddress: peer ?? UNKNOWN_ADDRESS },
      } as unknown as IncomingMessage,
      (address, hop) => this.trust!(bare(address), hop),
    )
    for (const address of chain.reverse()) {
      const client = this.at(address)
      if (client !== undefined) return client
    }
    return UNKNOWN_CLIENT
  }

  private at(address: string | undefined): Client | undefined {
    if (address === undefined || address.length > LONGEST_ADDRESS) return undefined
    const known = this.known.get(address)
    if (known !== undefined) return known
    const parsed = this.parse(bare(address))
    if (parsed === undefined) return undefined
    const client = clientAt(parsed)
    this.known.set(address, client)
    return client
  }

  private parse(address: string): string | undefined {
    if (ipaddr.IPv4.isValidFourPartDecimal(address)) return address
    if (!ipaddr.IPv6.isValid(address)) return undefined
    const plain = plainIPv6(address)
    if (!plain.includes(':')) return plain
    const network = ipaddr.IPv6.networkAddressFromCIDR(`${plain}/${this.ipv6Prefix}`)
    return `${network}/${this.ipv6Prefix}`
  }
}

/** Without zone, and as IPv4 if it is IPv4 in IPv6 notation, as Node gives it on a server that listens on `::`. */
function plainIPv6(address: string): string {
  const ipv6 = ipaddr.IPv6.parse(address)
  return ipv6.isIPv4MappedAddress() ? ipv6.toIPv4Address().toString() : new ipaddr.IPv6(ipv6.parts).toString()
}

function clientAt(address: string): Client {
  return { address, key: `address:${address}` }
}

/**
 * Whether a client can be identified if the address at the other end of the connection is unknown. Not by subnets: an
 * unknown address is in none. An invalid `trustProxy` is refused elsewhere.
 */
export function tellsWithoutPeer(trustProxy: TrustProxy | undefined): boolean {
  const isSubnets = typeof trustProxy === 'string' || Array.isArray(trustProxy)
  return !isSubnets && (trustProxy ?? false) !== false && trustProxy !== 0
}

/** The address without port and brackets; anything that is no address stays as it is. */
function bare(address: string): string {
  const [, ipv6, ipv4] = WITH_PORT.exec(address) ?? []
  return ipv6 ?? ipv4 ?? address
}

function trustOf(trustProxy: TrustProxy): ((address: string, hop: number) => boolean) | undefined {
  if (trustProxy === false) return undefined
  if (typeof trustProxy === 'function') {
    return (address, hop) => {
      const trusts = trustProxy(ipaddr.IPv6.isValid(address) ? plainIPv6(address) : address, hop)
      // A promise would pass for true: everybody could name the address that a request counts for.
      if (isPromise(trusts)) {
        trusts.then(undefined, () => {}) // one that fails unheard would end the process
        throw optionError('the result of trustProxy', trusts, 'return true or false at once')
      }
      return trusts
    }
  }
  if (typeof trustProxy === 'number' && Number.isInteger(trustProxy) && trustProxy >= 0) {
    return trustProxy === 0 ? undefined : (_, hop) => hop < trustProxy
  }
  if (typeof trustProxy === 'string' || Array.isArray(trustProxy)) return subnets([trustProxy].flat())
  throw optionError(
    'trustProxy',
    trustProxy,
    "give how many proxies stand before this server, their subnets such as ['10.0.0.0/8'], or a function of an address",
  )
}

function subnets(trusted: string[]): (address: string, hop: number) => boolean {
  try {
    return proxyAddr.compile(trusted)
  } catch (cause) {
    throw new ConfigError(
      'ERR_OPTION',
      `trustProxy: ${(cause as Error).message}: give addresses or subnets such as '10.0.0.0/8', or 'loopback', 'linklocal', 'uniquelocal'`,
      { cause },
    )
  }
}
