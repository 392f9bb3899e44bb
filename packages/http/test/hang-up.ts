import { once } from 'node:events'
import { connect } from 'node:net'
import { vi } from 'vitest'
import type { Served } from './servers/served.ts'

/** Asks, and hangs up once that is so; resolves when the server knows. */
export async function hangUpOnce({ server, url }: Served, isSo: () => boolean): Promise<void> {
  const closed = once(server, 'connection').then(([socket]) => once(socket, 'close'))
  const client = connect(Number(new URL(url).port), '127.0.0.1')
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await vi.waitUntil(isSo)
  client.destroy()
  await closed
}
