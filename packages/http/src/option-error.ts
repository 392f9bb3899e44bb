import { inspect } from 'node:util'
import { ConfigError } from '@spillway/core'

/** A wrong option: what it is, its value, and how to mend it. */
export function optionError(what: string, value: unknown, mend: string): ConfigError {
  const shown = inspect(value, { depth: 0, maxStringLength: 60, breakLength: Infinity })
  return new ConfigError('ERR_OPTION', `${what} is ${shown}: ${mend}`)
}
