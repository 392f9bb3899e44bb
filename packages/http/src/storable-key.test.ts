import { createLimiter, fixedWindow } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { storableKey } from './storable-key.ts'

it('leaves keys alone that a limiter takes', () => {
  for (const key of ['user:42', 'k'.repeat(1024), 'ä'.repeat(512)]) expect(storableKey(key)).toBe(key)
})

it('makes of any string a key that a limiter takes', async () => {
  const limiter = createLimiter({
    name: 'keys',
    clock: new ManualClock(0),
    limit: fixedWindow({ limit: 1, window: '1m' }),
  })
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(fc.string({ unit: 'binary', minLength: 1 }), fc.integer({ min: 300, max: 3000 }))
      .map(([text, length]) => text.repeat(length).slice(0, length)),
  )
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      await limiter.peek(storableKey(text))
    }),
    { examples: [[''], ['\ud800'.repeat(400)], ['k'.repeat(1025)]] },
  )
})

it('keeps keys apart, also from the hashes of others', () => {
  const long = 'k'.repeat(2000)
  const keys = ['', long, `${long}k`, storableKey(long), storableKey('')]
  expect(new Set(keys.map(storableKey)).size).toBe(keys.length)
})

it('keeps keys apart that differ in a lone surrogate only', () => {
  const keys = ['\ud800', '\ud801', '\ufffd', '\\ud800'].map((start) => start + 'k'.repeat(2000))
  const quoted = JSON.stringify(keys[0])
  expect(new Set([...keys, quoted].map(storableKey)).size).toBe(keys.length + 1)
})
