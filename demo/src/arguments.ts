import { parseArgs } from 'node:util'

/** A mistake of the caller: reported in one line, with exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}

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

/** Reads the command line. Throws `UsageError` for anything it does not understand. */
export function readArguments(args: readonly string[]): Options {
  const values = parse(args)
  if (values.redis !== undefined) checkRedisUrl(values.redis)
  if (values.redis !== undefined && values.memory)
    throw new UsageError('--redis and --memory exclude each other')
  return {
    log: values.log,
    redis: values.redis,
    memory: values.memory,
    nodes: readNumber('--nodes', values.nodes, { least: 1, most: 16, whole: true }),
    seed: readNumber('--seed', values.seed, { least: 0, most: 2 ** 31 - 1, whole: true }),
    seconds: readNumber('--seconds', values.seconds, { least: 0.1, most: 10, whole: false }),
    json: values.json,
    help: values.help,
  }
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        log: { type: 'string' },
        redis: { type: 'string' },
        memory: { type: 'boolean', default: false },
        nodes: { type: 'string', default: '4' },
        seed: { type: 'string', default: '1' },
        seconds: { type: 'string', default: '4' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    return values
  } catch (error) {
    // parseArgs adds advice on further lines and sentences; the first one says what is wrong.
    const [complaint] = (error as Error).message.split(/\.?\n|\. /)
    throw new UsageError(`${complaint} (--help lists the options)`)
  }
}

function readNumber(
  name: string,
  text: string,
  range: { least: number; most: number; whole: boolean },
): number {
  // `Number` alone would also read '', '0x10' and '1e1'.
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  const fits = value >= range.least && value <= range.most && (!range.whole || Number.isInteger(value))
  if (fits) return value
  const kind = range.whole ? 'a whole number' : 'a number'
  throw new UsageError(`${name} takes ${kind} from ${range.least} to ${range.most}, not '${text}'`)
}

function checkRedisUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.hostname && (url.protocol === 'redis:' || url.protocol === 'rediss:')) return
  throw new UsageError('--redis takes a URL such as redis://127.0.0.1:6379 (or rediss:// for TLS)')
}
