import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** Clients of a server that was killed try its port again, and must not meet a server that others have started since. */
const given = new Set<number>()

/**
 * A loopback port that was free a moment ago, and that this process has not given before. Another process may still take
 * it first: callers retry.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    if (given.has(port)) continue
    given.add(port)
    return port
  }
}
