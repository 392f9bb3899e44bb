import { inspect } from 'node:util'
import { ConfigError } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { Cluster } from 'ioredis'
import { expect, test } from 'vitest'

const failure = (make: () => unknown) => {
  try {
    make()
  } catch (error) {
    return error as Error
  }
  throw new Error('it was accepted')
}

test.each([
  [{ prefx: 'shop' }, /the option is "prefx": redisStore has none of that name/],
  [{ prefix: 5 }, /prefix is 5: give a string/],
  [{ prefix: '' }, /prefix is "": give a string/],
  [{ clock: {} }, /clock is an object: give an object with wall, monotonic, setTimer and clearTimer/],
  [{ clock: null }, /clock is null/],
  [[], /the second argument is an array/],
  ['shop', /the second argument is "shop"/],
  [null, /the second argument is null/],
])('refuses wrong options: %o', (options, message) => {
  const error = failure(() => redisStore('redis://127.0.0.1:1', options as never))
  expect(error).toBeInstanceOf(ConfigError)
  expect(error.message).toMatch(message)
})

test('takes undefined for an option that is left out', async () => {
  await redisStore('redis://127.0.0.1:1', { prefix: undefined, shards: undefined, clock: undefined }).close()
})

test('spreads keys over 16 slots of a Cluster and one of another server, if not told otherwise', async () => {
  const cluster = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true })
  const shardsOf = async (...args: Parameters<typeof redisStore>) => {
    const store = redisStore(...args)
    await store.close()
    return store.shards ?? 1
  }
  expect(await shardsOf(cluster)).toBe(16)
  expect(await shardsOf(cluster, { shards: 1024 })).toBe(1024)
  expect(await shardsOf('redis://127.0.0.1:1')).toBe(1)
  cluster.disconnect()
})

test.each(['redis://127.0.0.1:1', 'rediss://127.0.0.1:1', 'unix:///tmp/none.sock'])(
  'takes the URL %s',
  async (url) => {
    await redisStore(url).close()
  },
)

test.each([
  'redis://127.0.0.1:undefined',
  'redis://:secret@127.0.0.1:99999',
  'valkey://:secret@127.0.0.1:6379',
  'eve:secret@127.0.0.1',
  '127.0.0.1:6379?password=secret',
  'secret',
])('a URL that is none is a ConfigError, which tells no password: %s', (url) => {
  const error = failure(() => redisStore(url))
  expect(error).toBeInstanceOf(ConfigError)
  expect(error.message).toContain('redis://')
  expect(inspect(error)).not.toContain('secret') // what a log shows of it
})
