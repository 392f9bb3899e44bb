import { ConfigError, type ConfigErrorCode, show } from './errors.ts'

/** Whether it may hold options: a list, or a promise of options, would pass for an object without any. */
export function holdsOptions(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return typeof (value as { then?: unknown }).then !== 'function'
}

/**
 * Refuses unknown names: a misspelt option would be left out in silence.
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
  // Makes no list of the keys: some calls are checked each time.
  for (const name in options) {
    if (names.includes(name) || !Object.hasOwn(options, name)) continue
    throw new ConfigError(
      code,
      `the option is ${show(name)}: ${whose} has none of that name; there are ${names.join(', ')}`,
    )
  }
}
