import { once } from 'node:events'
import { connect } from 'node:net'

/** Sends GET requests down one connection without waiting for answers; the answers' status codes. */
export async function pipelined(
  url: string,
  headersOfEach: readonly Record<string, string>[],
): Promise<number[]> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  const statuses: number[] = []
  let rest = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    rest += chunk
    for (const [, status] of rest.matchAll(/HTTP\/1\.1 (\d{3}) /g)) statuses.push(Number(status))
    rest = rest.slice(-'HTTP/1.1 200'.length)
  })
  await once(socket, 'connect')
  headersOfEach.forEach((headers, place) => {
    const last = place === headersOfEach.length - 1 ? { connection: 'close' } : {}
    const lines = Object.entries({ host: 'localhost', ...headers, ...last }).map(
      ([name, value]) => `${name}: ${value}`,
    )
    socket.write(`GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
  })
  await once(socket, 'close')
  return statuses
}
