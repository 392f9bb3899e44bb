import { connect } from 'node:net'

/**
 * The process id of the Redis that answers on a loopback port, or undefined while none is ready.
 *
 * A bare PING would not do: where another program took the port between choosing and binding it, that
 * one's answer would pass for ours. `INFO server` says who speaks, and is refused while data is loading.
 */
export function answeringPid(port: number, password?: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    let reply = ''
    const finish = (pid?: number) => {
      socket.destroy()
      resolve(pid)
    }
    socket.setEncoding('latin1')
    socket.setTimeout(1000, finish)
    socket.on('error', () => finish())
    socket.on('close', () => finish())
    socket.on('connect', () => socket.write(`${password ? `AUTH ${password}\r\n` : ''}INFO server\r\n`))
    socket.on('data', (chunk) => {
      reply += chunk
      const pid = /^process_id:(\d+)\r$/m.exec(reply)?.[1]
      if (pid) finish(Number(pid))
      else if (/^-/m.test(reply)) finish()
    })
  })
}
