import { fixedWindow } from '@spillway/core'

/** What nodes of several processes share: more than any run asks for, in a window whose end hardly any run sees. */
export const SHARED = {
  name: 'bench',
  limit: fixedWindow({ limit: 2_000_000_000, window: '700d' }),
  // Many start at the same time.
  timeout: '10s',
} as const
