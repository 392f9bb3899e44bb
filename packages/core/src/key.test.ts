import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ConfigError } from './errors.ts'
import { checkKey, keyOfWire, wireKey } from './key.ts'

const RUNS = 20 * fc.readConfigureGlobal().numRuns!

const HIGH = '\uD83D'
const LOW = '\uDE00'

/** Any UTF-16 at all, with more of what can go wrong: surrogates, U+FFFF, and text that looks like an escape. */
const utf16 = fc
  .array(
    fc.oneof(
      fc.constantFrom(HIGH, LOW, '\uD800', '\uDBFF', '\uDC00', '\uDFFF', '\uFFFF', '\uFFFE', '\uFFFD'),
      fc.constantFrom('d83d', 'ffff', '\uFFFFd83d', '0', 'f', '\0', '\n', '{', '}', ':', 'é', '漢', '😀'),
      fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts) => parts.join(''))

test.each<[string, string]>([
  ['one byte', 'a'],
  ['1,024 letters', 'a'.repeat(1024)],
  ['512 letters of two bytes', 'é'.repeat(512)],
  ['341 of three bytes and a letter', `${'漢'.repeat(341)}a`],
  ['256 of four bytes', '😀'.repeat(256)],
  ['341 lone surrogates and a letter', `${HIGH.repeat(341)}a`],
  ['NUL', '\0'],
  ['a newline', '\n'],
  ['braces', '{user}:42'],
  ['blanks', '   '],
])('takes a key of %s', (_, key) => {
  expect(() => checkKey(key)).not.toThrow()
})

test.each<[string, string]>([
  ['1,025 letters', 'a'.repeat(1025)],
  ['512 letters of two bytes and a letter', `${'é'.repeat(512)}a`],
  ['342 of three bytes', '漢'.repeat(342)],
  ['256 of four bytes and a letter', `${'😀'.repeat(256)}a`],
  ['342 lone high surrogates', HIGH.repeat(342)],
  ['342 lone low surrogates', LOW.repeat(342)],
  ['ten million letters', 'a'.repeat(10_000_000)],
])('refuses a key of %s and says to hash it', (_, key) => {
  const error = thrownBy(() => checkKey(key))
  expect(error).toBeInstanceOf(ConfigError)
  expect(error).toMatchObject({ code: 'ERR_KEY' })
  const { message } = error as ConfigError
  expect(message).toContain('longer than 1024 bytes of UTF-8')
  expect(message).toContain('hash long identifiers')
  expect(message).toContain(JSON.stringify(`${key.slice(0, 60)}…`))
  expect(message.length).toBeLessThan(600)
})

test.each<[unknown, string]>([
  ['', '""'],
  [undefined, 'undefined'],
  [null, 'null'],
  [42, '42'],
  [Number.NaN, 'NaN'],
  [true, 'true'],
  [['user:42'], 'an array'],
  [{ id: 42 }, 'an object'],
  [new String('user:42'), 'an object'],
  [() => 'user:42', 'a function'],
  [Symbol('user'), 'Symbol(user)'],
])('refuses %o and says what a key is', (key, shown) => {
  const error = thrownBy(() => checkKey(key))
  expect(error).toBeInstanceOf(ConfigError)
  expect(error).toMatchObject({
    code: 'ERR_KEY',
    message: `the key is ${shown}: give a string of 1 to 1024 bytes, such as 'user:42'`,
  })
})

test('says of which scope a key is', () => {
  expect(thrownBy(() => checkKey(5, 'user'))).toMatchObject({
    message: 'the key of the scope "user" is 5: give a string of 1 to 1024 bytes, such as \'user:42\'',
  })
  expect((thrownBy(() => checkKey('a'.repeat(1025), 'user')) as Error).message).toMatch(
    /^the key of the scope "user" "a{60}…" is longer than/,
  )
})

test('a key is taken exactly when its UTF-8 has at most 1,024 bytes', () => {
  const long = fc
    .tuple(utf16, fc.integer({ min: 1, max: 1100 }))
    .map(([part, length]) => part.repeat(length).slice(0, length))
  fc.assert(
    fc.property(long, (key) => {
      const accepted = thrownBy(() => checkKey(key)) === undefined
      expect(accepted).toBe(bytesOf(key) <= 1024)
    }),
    { numRuns: RUNS },
  )
})

test('on the wire a key is well-formed, survives UTF-8 and comes back', () => {
  fc.assert(
    fc.property(utf16, (key) => {
      const wire = wireKey(key)
      expect(wire.isWellFormed()).toBe(true)
      expect(keyOfWire(Buffer.from(wire, 'utf8').toString('utf8'))).toBe(key)
    }),
    { numRuns: RUNS },
  )
})

test('no two keys meet on the wire', () => {
  // A key, and one made from it: its wire text, its UTF-8 round trip, a piece cut off or escaped by hand.
  const another = fc.oneof(
    fc.constant((key: string) => wireKey(key)),
    fc.constant((key: string) => wireKey(wireKey(key))),
    fc.constant((key: string) => key.toWellFormed()),
    fc.constant((key: string) => key.slice(1)),
    fc.constant((key: string) => key.replace('\uFFFF', '')),
    fc.constant((key: string) =>
      key.replace(/[\uD800-\uDFFF]/, (unit) => `\uFFFF${unit.charCodeAt(0).toString(16)}`),
    ),
    utf16.map((other) => () => other),
  )
  fc.assert(
    fc.property(utf16, another, (key, change) => {
      const other = change(key)
      expect(wireKey(other) === wireKey(key)).toBe(other === key)
    }),
    { numRuns: RUNS },
  )
})

test('all short strings of awkward units stay apart', () => {
  const units = [HIGH, LOW, '\uFFFF', 'd83d', 'de00', 'ffff', 'a']
  let keys = ['']
  const all: string[] = []
  for (let length = 1; length <= 4; length++) {
    keys = keys.flatMap((key) => units.map((unit) => key + unit))
    all.push(...keys)
  }
  const distinct = new Set(all)
  expect(new Set([...distinct].map(wireKey)).size).toBe(distinct.size)
})

test('ordinary keys travel as they are', () => {
  for (const key of ['user:42', '{a}:b', '\0', 'línea\n', '漢字', '😀', '\uFFFE'])
    expect(wireKey(key)).toBe(key)
})

/** Bytes of UTF-8 by the definition, a lone surrogate counted as three. */
function bytesOf(key: string): number {
  let bytes = 0
  for (const character of key) {
    const point = character.codePointAt(0)!
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
  }
  return bytes
}

function thrownBy(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  return undefined
}
