import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from './clock.ts'

test('what arrived while the process was blocked is read before a timer that was due meanwhile', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  onTestFinished(() => void client.destroy())
  const [socket] = await accepted
  socket.on('error', () => {})
  client.on('error', () => {})
  const order: string[] = []
  client.on('data', () => order.push('answer'))
  const fired = new Promise<void>((resolve) => {
    systemClock.setTimer(() => {
      order.push('timer')
      resolve()
    }, 20)
  })
  await new Promise<void>((resolve) => socket.write('answer', () => resolve()))
  const until = systemClock.monotonic() + 100
  while (systemClock.monotonic() < until);
  await fired
  expect(order).toEqual(['answer', 'timer'])
})

test('a timer that was cleared while it waited for that does not fire', async () => {
  let fired = 0
  const second = { timer: undefined as unknown }
  systemClock.setTimer(() => {
    fired++
    systemClock.clearTimer(second.timer)
  }, 20)
  second.timer = systemClock.setTimer(() => fired++, 20)
  const until = systemClock.monotonic() + 100
  while (systemClock.monotonic() < until);
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(fired).toBe(1)
})

test('a timer that was due while the process was blocked fires also where nothing else wakes the event loop', () => {
  const clock = new URL('./clock.ts', import.meta.url).href
  // A server that nobody connects to, once all that began with the process is over; and a timer of a minute: after some seconds Node's own threads wake it.
  const program = `
    import { createServer } from 'node:net'
    import { setTimeout as delay } from 'node:timers/promises'
    const { systemClock } = await import(${JSON.stringify(clock)})
    createServer().listen(0, '127.0.0.1')
    await delay(300)
    setTimeout(() => {
      const late = systemClock.monotonic() + 3000
      systemClock.setTimer(() => {
        console.log(systemClock.monotonic() < late ? 'in time' : 'late')
        process.exit()
      }, 20)
      setTimeout(() => {
        const until = systemClock.monotonic() + 100
        while (systemClock.monotonic() < until);
      }, 5)
      setTimeout(() => {}, 60_000)
    }, 100)`
  const args = [
    '--conditions',
    '@spillway/source',
    '--import',
    'tsx',
    '--input-type',
    'module',
    '-e',
    program,
  ]
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(stdout).toBe('in time\n')
})
