import { readNumber, readOptions, UsageError } from '@spillway/command-line'

export interface Options {
  /** Path of an access log to replay; without it, the trace that ships with the demo. */
  log: string | undefined
  /** URL of a Redis to use; without it, a Redis of the demo's own, or memory. */
  redis: string | undefined
  /** Whether to stay in memory even if a Redis could be started. */
  memory: boolean
  nodes: number
  seed: number
  /** How long the replay of one mode takes. */
  seconds: number
  json: boolean
  help: boolean
}

export const usage = `Usage: npm run demo -- [options]

Replays real requests over several nodes that share a limit, first in hard mode, then in soft mode,
and says what each mode let through and what it cost.

  --log FILE      replay this access log (Apache combined) instead of the trace that ships with the demo
  --redis URL     use this Redis, such as redis://127.0.0.1:6379; one node process per node
  --memory        one process and a store in memory, even where a Redis could be started
  --nodes N       how many nodes share the limit, 1 to 16 (default 4)
  --seed N        which random node gets which request (default 1)
  --seconds N     how long the replay of one mode takes, 0.1 to 10 (default 4)
  --json          the result as JSON on stdout
  --help          this text

Without --redis and --memory: a redis-server or valkey-server found on the PATH is started on a free
loopback port and stopped at the end; where there is none, the store is memory.
`

const OPTIONS = {
  log: { type: 'string' },
  redis: { type: 'string' },
  memory: { type: 'boolean', default: false },
  nodes: { type: 'string', default: '4' },
  seed: { type: 'string', default: '1' },
  seconds: { type: 'string', default: '4' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Reads the command line. Throws `UsageError` for anything it does not understand. */
export function readArguments(args: readonly string[]): Options {
  const values = readOptions(args, OPTIONS)
  if (values.redis !== undefined) checkRedisUrl(values.redis)
  if (values.redis !== undefined && values.memory)
    throw new UsageError('--redis and --memory exclude each other')
  return {
    log: values.log,
    redis: values.redis,
    memory: values.memory,
    nodes: readNumber('--nodes', values.nodes, { least: 1, most: 16 }),
    seed: readNumber('--seed', values.seed, { least: 0, most: 2 ** 31 - 1 }),
    seconds: readNumber('--seconds', values.seconds, { least: 0.1, most: 10, whole: false }),
    json: values.json,
    help: values.help,
  }
}

function checkRedisUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.hostname && (url.protocol === 'redis:' || url.protocol === 'rediss:')) return
  throw new UsageError('--redis takes a URL such as redis://127.0.0.1:6379 (or rediss:// for TLS)')
}
