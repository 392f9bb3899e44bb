import { inspect } from 'node:util'
import { ConfigError } from '@spillway/core'

/** A wrong option: what it is, its value, and how to mend it. */
export function optionError(what: string, value: unknown, mend: string): ConfigError {
  return new ConfigError('ERR_OPTION', `${what} is ${shown(value)}: ${mend}`)
}

/** A function was called with what it does not take. */
export function argumentError(call: string, value: unknown, mend: string): ConfigError {
  return new ConfigError('ERR_OPTION', `${call} was given ${shown(value)}: ${mend}`)
}

/** @throws ConfigError `ERR_OPTION` where what is to be limited is no function */
export function checkHandler(handler: unknown): void {
  if (typeof handler !== 'function') throw optionError('the handler', handler, 'give a function')
}

function shown(value: unknown): string {
  return inspect(value, { depth: 0, maxStringLength: 60, breakLength: Infinity })
}
