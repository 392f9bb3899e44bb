import { expect, it } from 'vitest'
import { type HeaderStyle, headerWriters, writeHeaders } from './headers.ts'
import type { Standing } from './standing.ts'
import { webHeaders } from './web-response.ts'

const standing = (name: string, remaining: number, limit = 9): Standing => ({
  ...{ name, remaining, limit },
  ...{ window: 60, moreAfter: 7, resetAfter: 30 },
})

/** The headers after limits have written one after the other. */
function written(styles: HeaderStyle[], ...limits: Standing[][]): Record<string, string> {
  const headers = new Headers()
  for (const standings of limits)
    writeHeaders(headerWriters(styles), standings, headers, webHeaders, { wall: () => 1_000 })
  return Object.fromEntries(headers)
}

it('lists what several limits say, each name once', () => {
  expect(
    written(['draft-11'], [standing('a', 5), standing('b', 2)], [standing('c', 4)], [standing('a', 1)]),
  ).toEqual({
    'ratelimit-policy': '"b";q=9;w=60, "c";q=9;w=60, "a";q=9;w=60',
    ratelimit: '"b";r=2;t=7, "c";r=4;t=7, "a";r=1;t=7',
  })
})

it('is a list of its own where there is another draft before, as of a server behind a gateway', () => {
  const headers = new Headers({ 'RateLimit-Policy': '10;w=60', RateLimit: 'limit=10, remaining=5, reset=3' })
  writeHeaders(headerWriters(['draft-11']), [standing('a', 5)], headers, webHeaders, { wall: () => 0 })
  expect([headers.get('ratelimit-policy'), headers.get('ratelimit')]).toEqual(['"a";q=9;w=60', '"a";r=5;t=7'])
})

it.each<[HeaderStyle, string, string]>([
  ['draft-7', 'ratelimit', 'limit=9, remaining=2, reset=30'],
  ['draft-6', 'ratelimit-remaining', '2'],
  ['legacy', 'x-ratelimit-remaining', '2'],
])('keeps the tightest of several limits in %s', (style, header, value) => {
  expect(written([style], [standing('a', 5), standing('b', 2)])[header]).toBe(value)
  expect(written([style], [standing('a', 2)], [standing('b', 5)])[header]).toBe(value)
  expect(written([style], [standing('a', 5)], [standing('b', 2)])[header]).toBe(value)
})

it.each<[HeaderStyle, Record<string, string>]>([
  ['draft-11', { 'ratelimit-policy': '"a";q=9;w=60', ratelimit: '"a";r=5;t=7' }],
  ['draft-7', { 'ratelimit-policy': '9;w=60', ratelimit: 'limit=9, remaining=5, reset=30' }],
  ['draft-6', { 'ratelimit-limit': '9', 'ratelimit-remaining': '5', 'ratelimit-reset': '30' }],
  // 1 s and a millisecond after the epoch, rounded up so that no client comes early.
  ['legacy', { 'x-ratelimit-limit': '9', 'x-ratelimit-remaining': '5', 'x-ratelimit-reset': '32' }],
])('writes all of %s', (style, headers) => {
  const written = new Headers()
  writeHeaders(headerWriters([style]), [standing('a', 5)], written, webHeaders, { wall: () => 1_001 })
  expect(Object.fromEntries(written)).toEqual(headers)
})

it('tells a limit that was changed', () => {
  expect(written(['draft-11'], [standing('changing', 5)])['ratelimit-policy']).toBe('"changing";q=9;w=60')
  expect(written(['draft-11'], [standing('changing', 5, 10)])['ratelimit-policy']).toBe(
    '"changing";q=10;w=60',
  )
})
