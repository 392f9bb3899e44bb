import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import type { Algorithm } from '../../algorithms/algorithm.ts'
import { fixedWindow, type StoreError } from '../../index.ts'
import { ManualClock } from '../../testing.ts'
import type { Request } from '../store.ts'
import type { Connection, RedisClient } from './client.ts'
import { OwnConnection } from './own-connection.ts'
import { redisStore } from './redis-store.ts'

/** A client that stands at the step it is told. */
class Client extends EventEmitter {
  status = 'wait'
  connected = () => {}

  connect(): Promise<void> {
    this.step('connecting')
    return new Promise((resolve) => {
      this.connected = resolve
    })
  }

  step(status: string): void {
    this.status = status
    this.emit(status)
    if (status === 'ready') this.connected()
  }

  disconnect(): void {
    this.step('end')
    this.connected()
  }

  async callBuffer(): Promise<unknown> {
    return this
  }

  async quit(): Promise<unknown> {
    return undefined
  }
}

function setUp() {
  const clock = new ManualClock(1_000_000)
  const clients: Client[] = []
  const connection = new OwnConnection(() => {
    const client = new Client()
    clients.push(client)
    return client as unknown as Connection
  }, clock)
  const last = () => clients.at(-1) as Client
  return { clock, clients, connection, last }
}

test('of several that find a connection silent the first gives it up, and the others leave the new one alone', async () => {
  const { clock, clients, connection, last } = setUp()
  last().step('ready')
  const since = clock.monotonic()
  await clock.advance(3000)
  connection.giveUpIfSilent(since)
  expect(clients).toHaveLength(1)
  await clock.advance(1)
  for (let limiter = 0; limiter < 3; limiter++) connection.giveUpIfSilent(since)
  expect(clients.map(({ status }) => status)).toEqual(['end', 'connecting'])
  await clock.advance(3000)
  connection.giveUpIfSilent(since)
  expect(clients).toHaveLength(2)
  last().step('ready')
  await connection.established()
  expect(await connection.command('PING', [])).toBe(last())
})

test('one server that stays silent does not cost the others their connections every few seconds', async () => {
  const { clock, clients, connection, last } = setUp()
  const times: number[] = []
  for (const start = clock.monotonic(); clock.monotonic() - start < 200_000; await clock.advance(500)) {
    const before = clients.length
    connection.giveUpIfSilent(start)
    if (clients.length > before) times.push(clock.monotonic() - start)
    if (last().status !== 'ready') last().step('ready')
  }
  expect(times).toEqual([3500, 10_000, 22_500, 47_000, 95_500, 156_000])
  await clock.advance(120_000)
  const since = clock.monotonic()
  await clock.advance(3001)
  const before = clients.length
  connection.giveUpIfSilent(since)
  expect(clients).toHaveLength(before + 1)
})

test.each(['connecting', 'connect', 'disconnecting', 'close', 'end'])(
  'a client that stands still at %s is replaced',
  async (status) => {
    const { clock, clients, connection, last } = setUp()
    last().step('ready')
    await connection.established()
    last().step(status)
    await clock.advance(5000)
    await expect(connection.established()).rejects.toMatchObject({ code: 'ERR_STORE_AWAY' })
    expect(clients).toHaveLength(1)
    await clock.advance(1)
    const established = connection.established()
    expect(clients).toHaveLength(2)
    last().step('ready')
    await established
  },
)

test('a client that goes on from step to step is left to it', async () => {
  const { clock, clients, connection, last } = setUp()
  last().step('ready')
  await connection.established()
  for (let round = 0; round < 5; round++) {
    for (const status of ['close', 'reconnecting', 'connecting']) {
      last().step(status)
      await clock.advance(2000)
      await expect(connection.established()).rejects.toMatchObject({ code: 'ERR_STORE_AWAY' })
    }
  }
  expect(clients).toHaveLength(1)
})

test('a command that was too late for its connection is not waited for: a quiet connection is kept', async () => {
  const clock = new ManualClock(1_000_000)
  const clients: Client[] = []
  let isSilent = false
  const duplicate = () => {
    const client = new Client()
    clients.push(client)
    // It tells the time, where a script is loaded, and nothing else that a script would.
    const answers = () => (isSilent ? new Promise((_, reject) => client.once('end', reject)) : ['1000', '0'])
    return Object.assign(client, { callBuffer: async () => answers() })
  }
  const target = Object.assign(new Client(), { duplicate }) as unknown as RedisClient
  const table = redisStore(target, { clock }).open(
    'api',
    fixedWindow({ limit: 1, window: '1s' }) as Algorithm,
  )
  const exchange = () => {
    const request: Request = {
      ...{ node: '0'.repeat(16), sequence: 0, deadline: 0, since: -1, presence: 0, extra: 0 },
      until: clock.monotonic() + 100,
      operations: [['peek', 'key']],
    }
    return table.exchange(request).catch((error: StoreError) => error)
  }
  const loaded = exchange()
  clients[0]?.step('ready')
  await loaded
  isSilent = true
  const unanswered = exchange()
  await clock.advance(3001)
  const late = exchange()
  expect(clients).toHaveLength(2)
  await clock.advance(200)
  clients[1]?.step('ready')
  expect(await late).toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
  await unanswered
  isSilent = false
  await clock.advance(60_000)
  await exchange()
  expect(clients).toHaveLength(2)
})
