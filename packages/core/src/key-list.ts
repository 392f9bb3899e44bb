import { ConfigError, show } from './errors.ts'

/** Keys that a rule is for: a list, a set, or a function that tells. */
export type KeyList<K> = readonly K[] | ReadonlySet<K> | ((key: K) => boolean)

/**
 * Whether a key is on the list: a set and a function are asked anew for each check.
 *
 * @param scoped a check has several keys: only a function can tell
 * @throws ConfigError `ERR_OPTION`
 */
export function onList<K>(
  list: KeyList<K> | undefined,
  what: string,
  scoped: boolean,
): ((key: K) => boolean) | undefined {
  if (list === undefined) return undefined
  if (typeof list === 'function') return (key) => checked(list(key), what)
  if (scoped)
    throw new ConfigError(
      'ERR_OPTION',
      `${what} is ${show(list)}: with scopes give a function, such as ({ user }) => staff.has(user ?? '')`,
    )
  if (list instanceof Set) {
    checkKeys(list, what)
    return (key) => list.has(key)
  }
  if (Array.isArray(list)) {
    checkKeys(list, what)
    const keys = new Set(list)
    return (key) => keys.has(key)
  }
  throw new ConfigError(
    'ERR_OPTION',
    `${what} is ${show(list)}: give an array or a Set of keys, or a function of a key`,
  )
}

/** A key that is not a string would never be met. */
function checkKeys(keys: Iterable<unknown>, what: string): void {
  for (const key of keys) {
    if (typeof key === 'string') continue
    throw new ConfigError(
      'ERR_OPTION',
      `a key of ${what} is ${show(key)}: give strings, as the checks have them, such as 'user:42'`,
    )
  }
}

/** A promise would pass for yes, whatever it came to. */
function checked(answer: unknown, what: string): boolean {
  if (typeof answer === 'boolean') return answer
  throw new ConfigError(
    'ERR_OPTION',
    `${what} answered ${show(answer)}: give a function that returns true or false`,
  )
}
