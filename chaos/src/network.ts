import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/**
 * What happens to connections:
 * - `refuse`: nobody listens, and those that are open are reset
 * - `hole`: nothing gets through; once mended, what was sent arrives late, as in TCP
 * - `half-open`: the other side of open connections has vanished silently and for good; new ones work
 * - `reset-in-reply`: half of a reply, then a reset
 * - `lose-reply`: the command is carried out, its reply is lost with the connection
 * - `delay`: each reply comes `ms` later
 * - `bytewise`: replies come one byte at a time
 */
export type NetworkFault =
  | { readonly kind: 'refuse' | 'hole' | 'half-open' | 'bytewise' }
  /** Happens to one reply in `every`. */
  | { readonly kind: 'reset-in-reply' | 'lose-reply'; readonly every: number }
  | { readonly kind: 'delay'; readonly ms: number }

interface Pair {
  readonly client: Socket
  readonly upstream: Socket
  vanished: boolean
}

/** A TCP proxy between the nodes and a server, to be broken. */
export class Network {
  private fault: NetworkFault | undefined
  private replies = 0
  private readonly pairs = new Set<Pair>()

  private constructor(
    private readonly server: Server,
    readonly port: number,
    private readonly targetPort: number,
  ) {
    server.on('connection', (client) => this.accept(client))
  }

  static async start(targetPort: number): Promise<Network> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Network(server, (server.address() as AddressInfo).port, targetPort)
  }

  /** How many connections there are. */
  get open(): number {
    return this.pairs.size
  }

  /** Breaks the network, and mends any earlier fault. */
  async break(fault: NetworkFault): Promise<void> {
    await this.mend()
    this.fault = fault
    for (const pair of this.pairs) {
      if (fault.kind === 'half-open') pair.vanished = true
      if (fault.kind === 'hole') hold(pair)
    }
    if (fault.kind !== 'refuse') return
    this.server.close()
    this.reset()
  }

  /** Ends the fault. Connections that vanished stay so. */
  async mend(): Promise<void> {
    this.fault = undefined
    for (const { client, upstream } of this.pairs) {
      client.resume()
      upstream.resume()
    }
    if (this.server.listening) return
    this.server.listen(this.port, '127.0.0.1')
    await once(this.server, 'listening')
  }

  async close(): Promise<void> {
    this.reset()
    if (!this.server.listening) return
    this.server.close()
    await once(this.server, 'close')
  }

  private reset(): void {
    for (const { client, upstream } of this.pairs) {
      client.resetAndDestroy()
      upstream.destroy()
    }
  }

  private accept(client: Socket): void {
    const upstream = connect({ host: '127.0.0.1', port: this.targetPort, noDelay: true })
    client.setNoDelay(true)
    const pair = { client, upstream, vanished: false }
    this.pairs.add(pair)
    if (this.fault?.kind === 'hole') hold(pair)
    const end = () => {
      this.pairs.delete(pair)
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
    let sent = Promise.resolve()
    client.on('data', (bytes) => {
      if (!pair.vanished) upstream.write(bytes)
    })
    upstream.on('data', (bytes) => {
      // In order, even if a fault begins or ends while an earlier reply is on its way.
      const arrived = performance.now()
      sent = sent.then(() => this.reply(pair, bytes, arrived))
    })
  }

  private async reply({ client, upstream, vanished }: Pair, bytes: Buffer, arrived: number): Promise<void> {
    if (vanished) return
    const { fault } = this
    switch (fault?.kind) {
      case 'lose-reply':
      case 'reset-in-reply':
        if (++this.replies % fault.every !== 0) break
        if (fault.kind === 'reset-in-reply') {
          client.write(bytes.subarray(0, Math.ceil(bytes.length / 2)))
          await turn()
        }
        client.resetAndDestroy()
        upstream.destroy()
        return
      case 'delay':
        await new Promise((resolve) => setTimeout(resolve, arrived + fault.ms - performance.now()))
        break
      case 'bytewise':
        for (let at = 0; at < bytes.length && client.writable; at++) {
          client.write(bytes.subarray(at, at + 1))
          await turn()
        }
        return
    }
    if (client.writable) client.write(bytes)
  }
}

function hold({ client, upstream }: Pair): void {
  client.pause()
  upstream.pause()
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
