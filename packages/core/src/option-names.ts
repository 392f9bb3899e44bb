import { ConfigError, type ConfigErrorCode, show } from './errors.ts'

/** Whether it may hold options: a list or a promise of some would pass for an object that holds none. */
export function holdsOptions(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return typeof (value as { then?: unknown }).then !== 'function'
}

/**
 * Refuses names that there are none of: what is misspelt would be left out in silence.
 *
 * @param whose what has options of these names
 * @throws ConfigError
 */
export function checkOptionNames(
  options: object,
  whose: string,
  names: readonly string[],
  code: ConfigErrorCode = 'ERR_OPTION',
): void {
  // Without a list of the keys: some calls are checked each time.
  for (const name in options) {
    if (names.includes(name) || !Object.hasOwn(options, name)) continue
    throw new ConfigError(
      code,
      `the option is ${show(name)}: ${whose} has none of that name; there are ${names.join(', ')}`,
    )
  }
}
