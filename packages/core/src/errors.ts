/** What a {@link ConfigError} is about; stable, for programs to switch on. */
export type ConfigErrorCode =
  | 'ERR_LIMIT'
  | 'ERR_DURATION'
  | 'ERR_COST'
  | 'ERR_KEY'
  | 'ERR_OPTION'
  | 'ERR_MISMATCH'
  | 'ERR_CLOSED'

/** What a {@link StoreError} is about; stable, for programs to switch on. */
export type StoreErrorCode = 'ERR_STORE_TIMEOUT' | 'ERR_STORE_AWAY' | 'ERR_STORE_REPLY'

/**
 * A programmer's mistake: a bad limit, option, key or cost. Thrown by `createLimiter` and the limits, and
 * what the limiter's promises reject with. Nothing was counted.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code: ConfigErrorCode

  constructor(code: ConfigErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The store did not answer, or not usefully. Callers see it with `onOutage: 'throw'`, and from `flush` whatever `onOutage` is. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode
  /** Whether the store may have carried the command out although no answer came. */
  readonly uncertain: boolean

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions & { uncertain?: boolean }) {
    super(message, options)
    this.code = code
    this.uncertain = options?.uncertain ?? false
  }
}

/** `acquire` would have to wait past `maxWait`, for ever, or behind too many others. Nothing was taken. */
export class AcquireError extends Error {
  override readonly name = 'AcquireError'
  readonly code: 'ERR_MAX_WAIT' | 'ERR_NEVER' | 'ERR_QUEUE_FULL'

  constructor(code: 'ERR_MAX_WAIT' | 'ERR_NEVER' | 'ERR_QUEUE_FULL', message: string) {
    super(message)
    this.code = code
  }
}

/** How a value is shown in an error message: short, and never throwing. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(shortened(value))
  if (typeof value === 'object' && value !== null) return isArray(value) ? 'an array' : 'an object'
  if (typeof value === 'bigint') return `${shortened(String(value))}n`
  return typeof value === 'function' ? 'a function' : shortened(String(value))
}

/** A revoked proxy can't be asked anything. */
function isArray(value: object): boolean {
  try {
    return Array.isArray(value)
  } catch {
    return false
  }
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
