import { createLimiter, fixedWindow, type SoftLimiter } from '@spillway/core'
import { redisStore } from '@spillway/core/redis'
import { ManualClock } from '@spillway/core/testing'
import { globally, type RequestLimiter } from '@spillway/http'
import { rateLimit } from '@spillway/http/fetch'
import { describe, expect, onTestFinished, test } from 'vitest'

const limit = fixedWindow({ limit: 5, window: '1h' })
/** Stands still, so that no busy machine lets a check run out of time. */
const clock = new ManualClock(0)
const request = () => new Request('http://localhost/')

async function ask(limiter: RequestLimiter | readonly RequestLimiter[]): Promise<Response> {
  return rateLimit({ limiter, key: globally() })(() => new Response('hello'))(request())
}

function awayLimiter(mode: 'hard' | 'soft'): RequestLimiter {
  const store = redisStore('redis://127.0.0.1:1')
  onTestFinished(() => store.close())
  return createLimiter({ name: 'away', limit, mode, store, onOutage: 'throw' })
}

describe('where one of several limiters fails', () => {
  test.each(['hard', 'soft'] as const)('those before it are given back (%s)', async (mode) => {
    const first = createLimiter({ name: 'first', limit, clock, mode })
    await expect(ask([first, awayLimiter('hard')])).rejects.toMatchObject({ name: 'StoreError' })
    expect((await first.peek('global')).remaining).toBe(4) // what a check would leave of 5
  })

  test('so are they where it throws at once', async () => {
    const first = createLimiter({ name: 'first', limit, clock, mode: 'soft' })
    const closed = createLimiter({ name: 'closed', limit, clock, mode: 'soft' })
    await closed.close()
    await expect(ask([first, closed])).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect((await first.peek('global')).remaining).toBe(4)
  })
})

test('hard and soft limiters go together', async () => {
  const hard = createLimiter({ name: 'hard', limit, clock })
  const soft = createLimiter({ name: 'soft', limit, clock, mode: 'soft' })
  const small = createLimiter({ name: 'small', clock, limit: fixedWindow({ limit: 1, window: '1h' }) })
  expect((await ask([soft, hard, soft, small])).status).toBe(200)
  expect((await ask([soft, hard, soft, small])).status).toBe(429)
  expect((await hard.peek('global')).remaining).toBe(3)
  expect((await soft.peek('global')).remaining).toBe(2)
})

test('the store is asked where only it can say', async () => {
  const soft: SoftLimiter = createLimiter({ name: 'soft', limit, clock, mode: 'soft' })
  const asked: string[] = []
  const unsure: RequestLimiter = {
    name: 'unsure',
    limit,
    check(key, options) {
      asked.push('check')
      return soft.check(key, options)
    },
    checkSync(key, options) {
      asked.push('checkSync')
      const { remaining, resetAfterMs } = soft.checkSync(key, options)
      return {
        ...{ allowed: false, limit: 5, remaining, retryAfterMs: 1, resetAfterMs, delayMs: 0 },
        ...{ source: 'local', reason: 'sync', name: undefined },
      }
    },
    refund: (key, cost) => soft.refund(key, cost),
  }
  const response = await ask(unsure)
  expect(response.status).toBe(200)
  expect(asked).toEqual(['checkSync', 'check'])
})
