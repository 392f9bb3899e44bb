import { ConfigError, createLimiter, fixedWindow, type LimiterOptions } from '@spillway/core'

/** A way to run the limiter. */
export interface Variant {
  readonly title: string
  readonly mode: string
  /** Undefined: a variant with nothing to settle takes no interval. */
  readonly sync: Record<string, unknown> | undefined
  /** Whether checks may wait for the store; otherwise they are made by `checkSync`. */
  readonly waits: boolean
  /** Whether it belongs to a run that names no variant. */
  readonly standard: boolean
}

export const variants = {
  baseline: { title: 'fixed interval', mode: 'soft', sync: { early: false }, waits: false, standard: true },
  soft: { title: 'soft', mode: 'soft', sync: {}, waits: false, standard: true },
  capped: {
    title: 'soft, `maxOvershoot: 0.05`',
    mode: 'soft',
    sync: { maxOvershoot: 0.05 },
    waits: true,
    standard: true,
  },
  leased: { title: 'leased', mode: 'leased', sync: {}, waits: true, standard: true },
  hard: { title: 'hard', mode: 'hard', sync: undefined, waits: true, standard: false },
} satisfies Record<string, Variant>

export type VariantName = keyof typeof variants

export const variantNames = Object.keys(variants) as VariantName[]

/** The options of a variant, for this interval. */
export function limiterOptions(name: VariantName, interval: number): Pick<LimiterOptions, 'mode' | 'sync'> {
  const { mode, sync } = variants[name]
  return { mode, sync: sync && { interval, ...sync } } as Pick<LimiterOptions, 'mode' | 'sync'>
}

/** Why the core does not have this variant; nothing if it does. */
export function missing(name: VariantName): string | undefined {
  try {
    createLimiter({ name, limit: fixedWindow({ limit: 1, window: 1000 }), ...limiterOptions(name, 100) })
    return undefined
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
}
