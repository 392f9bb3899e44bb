import type { Job, Tally } from './replay.ts'

/** What the demo tells a node process. */
export type Order = { do: 'prepare'; redis: string; job: Job } | { do: 'replay' }

/** What a node process tells the demo. */
export type Reply =
  | { did: 'prepare' }
  | { did: 'serve'; requests: number }
  | { did: 'replay'; tallies: Tally[] }
  | { did: 'fail'; message: string }
