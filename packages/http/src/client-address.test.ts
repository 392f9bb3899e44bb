import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ClientAddresses, type TrustProxy, UNKNOWN_ADDRESS } from './client-address.ts'

const client = (peer: string | undefined, forwardedFor?: string, trustProxy?: TrustProxy, prefix?: number) =>
  new ClientAddresses(trustProxy, prefix).client(peer, forwardedFor).address

describe('without trusted proxies', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:1:2::', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80::/64'],
    ['::1', '::/64'],
    [undefined, UNKNOWN_ADDRESS],
    ['/tmp/socket', UNKNOWN_ADDRESS],
  ])('calls the client at %s %s', (peer, name) => {
    expect(client(peer)).toBe(name)
  })

  it('ignores X-Forwarded-For', () => {
    expect(client('192.0.2.1', '203.0.113.9')).toBe('192.0.2.1')
    expect(client('192.0.2.1', '203.0.113.9', 0)).toBe('192.0.2.1')
  })

  it('takes IPv6 clients together by the prefix that was asked for', () => {
    expect(client('2001:db8:aaaa:bbbb::1', undefined, false, 48)).toBe('2001:db8:aaaa::/48')
    expect(client('2001:db8:aaaa:bbbb::1', undefined, false, 128)).toBe('2001:db8:aaaa:bbbb::1/128')
    expect(client('2001:db8:abcd::1', undefined, false, 36)).toBe('2001:db8:a000::/36')
  })
})

describe('with trusted proxies', () => {
  it.each<[string, TrustProxy, string]>([
    ['203.0.113.9', 1, '203.0.113.9'],
    ['198.51.100.1, 203.0.113.9', 1, '203.0.113.9'],
    ['198.51.100.1, 203.0.113.9', 2, '198.51.100.1'],
    ['203.0.113.9', 5, '203.0.113.9'],
    ['203.0.113.9:4711', 1, '203.0.113.9'],
    ['[2001:db8::9]', 1, '2001:db8::/64'],
    ['[2001:db8::9]:4711', 1, '2001:db8::/64'],
    ['::ffff:203.0.113.9', 1, '203.0.113.9'],
    ['203.0.113.9, 10.1.2.3', '10.0.0.0/8', '203.0.113.9'],
    ['203.0.113.9, 10.1.2.3:80', ['10.0.0.0/8'], '203.0.113.9'],
    ['198.51.100.1, 203.0.113.9, ::ffff:10.1.2.3', ['uniquelocal'], '203.0.113.9'],
    ['203.0.113.9', (address) => address === '10.0.0.1', '203.0.113.9'],
    ['203.0.113.9', (_, hop) => hop > 0, '10.0.0.1'],
  ])('of X-Forwarded-For %s, trusting %s, takes %s', (forwardedFor, trustProxy, name) => {
    expect(client('10.0.0.1', forwardedFor, trustProxy)).toBe(name)
  })

  it('tells a function of addresses as they are compared: IPv4 as such, without ports and zones', () => {
    const asked: [string, number][] = []
    const trust: TrustProxy = (address, hop) => asked.push([address, hop]) > 0
    client('::ffff:10.0.0.1', '203.0.113.9, nonsense, [2001:0DB8::1]:80, fe80::2%eth0, 10.0.0.2:80', trust)
    expect(asked).toEqual([
      ['10.0.0.1', 0],
      ['10.0.0.2', 1],
      ['fe80::2', 2],
      ['2001:db8::1', 3],
      ['nonsense', 4],
    ])
  })

  it('does not believe a peer outside the subnets', () => {
    expect(client('192.0.2.1', '203.0.113.9', '10.0.0.0/8')).toBe('192.0.2.1')
  })

  it('names connections without an address as documented', () => {
    for (const trust of [false, 1] as const)
      expect(new ClientAddresses(trust).client(undefined, undefined).key).toBe('address:unknown')
  })

  it('believes a proxy on a Unix socket by its hop', () => {
    expect(client(undefined, '203.0.113.9', 1)).toBe('203.0.113.9')
  })

  it.each([
    '',
    ' ',
    ',',
    'unknown',
    '_hidden',
    '1.2.3',
    '256.1.1.1',
    '0x7f.0.0.1',
    '2130706433',
    '::g',
    '[',
    '[]:1',
  ])('counts garbage (%j) as the proxy that sent it', (garbage) => {
    expect(client('10.0.0.1', garbage, 1)).toBe('10.0.0.1')
    expect(client('10.0.0.1', `${garbage}, 203.0.113.9`, 1)).toBe('203.0.113.9')
  })

  it('names an address or a prefix whatever the header holds', () => {
    const header = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.ipV4Extended()))
        .map((parts) => parts.join(',')),
    )
    fc.assert(
      fc.property(header, fc.nat(4), (forwardedFor, hops) => {
        const name = client('10.0.0.1', forwardedFor, hops)
        expect(ipaddr.IPv4.isValidFourPartDecimal(name) || ipaddr.IPv6.isValidCIDR(name)).toBe(true)
      }),
    )
  })

  it('names every way to write an address alike', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const long = ipaddr.IPv6.parse(address).toNormalizedString()
        expect(client('10.0.0.1', `[${address}]:1`, 1)).toBe(client(long))
      }),
    )
  })
})

it.each<[unknown, string]>([
  [true, 'how many proxies stand before'],
  [-1, 'how many proxies stand before'],
  [1.5, 'how many proxies stand before'],
  ['10.0.0.0/99', 'invalid range'],
  [['nowhere'], 'invalid IP address: nowhere'],
])('refuses trustProxy %j', (trustProxy, message) => {
  expect(() => new ClientAddresses(trustProxy as TrustProxy)).toThrow(
    expect.objectContaining({ code: 'ERR_OPTION', message: expect.stringContaining(message) }),
  )
})

it('refuses a promise of trustProxy, which would pass for true', () => {
  const trustsNobody = (async () => false) as unknown as TrustProxy
  expect(() => client('10.0.0.1', '1.2.3.4', trustsNobody)).toThrow(
    /the result of trustProxy is Promise.*: return true or false at once/,
  )
})

it('refuses a promise of trustProxy that fails, unheard', async () => {
  const unheard = vi.fn()
  process.on('unhandledRejection', unheard)
  onTestFinished(() => void process.off('unhandledRejection', unheard))
  const fails = (() => Promise.reject(new Error('no answer'))) as unknown as TrustProxy
  expect(() => client('10.0.0.1', '1.2.3.4', fails)).toThrow('the result of trustProxy is Promise')
  await new Promise((done) => setTimeout(done))
  expect(unheard).not.toHaveBeenCalled()
})

it.each([0, 129, 64.5, '64'])('refuses ipv6Prefix %j', (prefix) => {
  expect(() => new ClientAddresses(false, prefix as number)).toThrow(
    /ipv6Prefix is .*: give an integer from 1 to 128/,
  )
})
