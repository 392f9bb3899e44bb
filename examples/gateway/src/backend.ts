import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The service behind the gateways. */
export interface Backend {
  readonly url: string
  /** How many requests have come through, by path. */
  readonly served: ReadonlyMap<string, number>
  close(): Promise<void>
}

export async function startBackend(): Promise<Backend> {
  const served = new Map<string, number>()
  const server = createServer((request, response) => {
    const path = request.url as string
    served.set(path, (served.get(path) ?? 0) + 1)
    response.end(`served ${path}`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    served,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
