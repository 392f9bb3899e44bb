import type { Decision } from '@spillway/core'
import { ConfigError } from '@spillway/core'
import { describe, expect, it } from 'vitest'
import { type Answer, answerOf, refusalOf, replaced } from './refusal.ts'

const decision = (its: Partial<Decision>) =>
  ({
    ...{ allowed: false, limit: 9, remaining: 0, resetAfterMs: 60_000, delayMs: 0, source: 'store' },
    ...{ retryAfterMs: 11_001, reason: 'limit', name: undefined },
    ...its,
  }) as Decision

const standard = answerOf(refusalOf('key', 'api', decision({})))

describe('problem details', () => {
  it.each<[Partial<Decision>, number, string, string, number | undefined]>([
    [{}, 429, 'quota-exceeded', 'The limit "api" of 9 is used up. Try again in 12 s.', 12],
    [
      { reason: 'blocked', retryAfterMs: 1000 },
      ...([429, 'quota-exceeded'] as const),
      'Requests are blocked by the limit "api". Try again in 1 s.',
      1,
    ],
    [
      { reason: 'blocked', retryAfterMs: Infinity },
      ...([429, 'quota-exceeded'] as const),
      'Requests are blocked by the limit "api".',
      undefined,
    ],
    [
      { reason: 'cost', retryAfterMs: Infinity },
      ...([429, 'quota-exceeded'] as const),
      'This request costs more than the limit "api" of 9 ever allows.',
      undefined,
    ],
    [
      { reason: 'outage', retryAfterMs: 1 },
      ...([503, 'temporary-reduced-capacity'] as const),
      'The limit "api" could not be checked. Try again in 1 s.',
      1,
    ],
    [{ name: 'user' }, 429, 'quota-exceeded', 'The limit "user" of 9 is used up. Try again in 12 s.', 12],
  ])('say what %o means, and when to come again', (its, status, type, detail, retryAfter) => {
    const refusal = refusalOf('key', 'api', decision(its))
    expect(refusal).toMatchObject({ status, retryAfter, key: 'key' })
    expect(refusal.problem).toMatchObject({
      ...{ status, detail },
      type: `https://iana.org/assignments/http-problem-types#${type}`,
      'violated-policies': [its.name ?? 'api'],
    })
  })
})

describe('what `response` may return', () => {
  const given = (own: object) => replaced(standard, own as Partial<Answer>)

  it.each([200, 429, 599])('the status %o', (status) => {
    expect(given({ status })).toMatchObject({ status, headers: standard.headers, body: standard.body })
  })

  it.each([199, 600, 429.5, '429', Number.NaN])('not the status %o', (status) => {
    expect(() => given({ status })).toThrow(ConfigError)
    expect(() => given({ status })).toThrow("response: the answer's status is")
  })

  it.each([
    ...['Transfer-Encoding', 'Trailer', 'TE', 'Upgrade', 'Keep-Alive', 'Proxy-Connection', 'HTTP2-Settings'],
    ...['transfer-encoding', 'KEEP-ALIVE'],
  ])('not the header %s, which is of the connection', (name) => {
    expect(() => given({ headers: { [name]: 'close' } })).toThrow(`response: the header is '${name}'`)
  })

  it('`Connection`, but without a length of the body', () => {
    const { headers } = given({ headers: { Connection: 'close', 'content-LENGTH': 'wrong' } })
    expect(headers).toEqual({ ...standard.headers, Connection: 'close' })
  })

  it.each(['two\nlines', 'two\rlines', '\0', '€', undefined, ['yes', undefined]])(
    'not the value %o: headers are one line in Latin-1',
    (value) => {
      expect(() => given({ headers: { 'X-Calm': value } })).toThrow('response: the header X-Calm is')
    },
  )

  it('values in Latin-1, several as one line', () => {
    const { headers } = given({
      headers: { 'X-Calm': 'déjà\tvu', 'X-Many': ['a', 2], 'Set-Cookie': ['a', 'b'] },
    })
    expect(headers).toMatchObject({ 'X-Calm': 'déjà\tvu', 'X-Many': 'a, 2', 'Set-Cookie': ['a', 'b'] })
  })
})
