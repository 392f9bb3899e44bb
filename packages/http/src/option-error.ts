import { inspect } from 'node:util'
import { ConfigError } from '@spillway/core'

/** An error about a wrong option: its name, its value, and how to mend it. */
export function optionError(what: string, value: unknown, mend: string): ConfigError {
  return new ConfigError('ERR_OPTION', `${what} is ${shown(value)}: ${mend}`)
}

/** An error about a function called with a wrong argument. */
export function argumentError(call: string, value: unknown, mend: string): ConfigError {
  return new ConfigError('ERR_OPTION', `${call} was given ${shown(value)}: ${mend}`)
}

/** @throws ConfigError `ERR_OPTION` if the handler to limit is no function */
export function checkHandler(handler: unknown): void {
  if (typeof handler !== 'function') throw optionError('the handler', handler, 'give a function')
}

function shown(value: unknown): string {
  return inspect(value, { depth: 0, maxStringLength: 60, breakLength: Infinity })
}
