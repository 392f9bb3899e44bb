import { ConfigError, show } from './errors.ts'

/** The longest key, in bytes of UTF-8. */
export const LONGEST_KEY = 1024

/** A string this short is at most 1,024 bytes whatever it holds: three bytes a UTF-16 unit at the most. */
const SURELY_SHORT = Math.floor(LONGEST_KEY / 3)

/**
 * Accepts strings of 1 to 1,024 bytes of UTF-8, a lone surrogate counted as 3 bytes.
 *
 * @param scope what it is the key of, where a check has several
 * @throws ConfigError `ERR_KEY`
 */
export function checkKey(key: unknown, scope?: string): asserts key is string {
  if (typeof key === 'string' && key.length > 0) {
    if (key.length <= SURELY_SHORT) return
    if (key.length <= LONGEST_KEY && Buffer.byteLength(key) <= LONGEST_KEY) return
    throw new ConfigError(
      'ERR_KEY',
      `the key ${ofScope(scope)}${show(key)} is longer than ${LONGEST_KEY} bytes of UTF-8: hash long identifiers first, for example with SHA-256`,
    )
  }
  throw new ConfigError(
    'ERR_KEY',
    `the key ${ofScope(scope)}is ${show(key)}: give a string of 1 to ${LONGEST_KEY} bytes, such as 'user:42'`,
  )
}

function ofScope(scope: string | undefined): string {
  return scope === undefined ? '' : `of the scope ${show(scope)} `
}

/** U+FFFF is no character; it introduces an escape on the wire. */
const ESCAPED = /\uFFFF|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g

/**
 * The key as well-formed text, so that it travels as UTF-8. No two keys share one: lone surrogates, which
 * UTF-8 would all turn into U+FFFD, become U+FFFF and four hex digits, and so does U+FFFF itself.
 */
export function wireKey(key: string): string {
  if (key.isWellFormed() && !key.includes('\uFFFF')) return key
  return key.replace(ESCAPED, (unit) => `\uFFFF${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** The key that {@link wireKey} was given. */
export function keyOfWire(wire: string): string {
  if (!wire.includes('\uFFFF')) return wire
  return wire.replace(/\uFFFF([0-9a-f]{4})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
}
