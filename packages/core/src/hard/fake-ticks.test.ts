import { afterEach, expect, it, vi } from 'vitest'
import { createLimiter, fixedWindow } from '../index.ts'

afterEach(() => vi.restoreAllMocks())

it('a hard check is answered where fake timers took the place of process.nextTick', async () => {
  const limiter = createLimiter({ name: 'api', limit: fixedWindow({ limit: 1, window: '1m' }) })
  // As Jest's and Sinon's do, unless told otherwise: what is given to it is kept until a test asks for it.
  vi.spyOn(process, 'nextTick').mockImplementation(() => {})
  const answer = limiter.check('key').then(({ allowed }) => allowed)
  const turns = new Promise((resolve) => setImmediate(() => setImmediate(() => resolve('none'))))
  expect(await Promise.race([answer, turns])).toBe(true)
})
