import { type RedisServer, startRedis } from '@spillway/redis-server'

/**
 * A Redis for which a second is a millisecond where keys expire: for tests that tell the scripts the time. Theirs stands still
 * between two commands, and that by which keys expire goes on, for however long a busy machine takes.
 */
export function startSlowlyExpiringRedis(): Promise<RedisServer> {
  const instead = (name: string, other: string) => [
    ...['--rename-command', name, `MILLISECONDS_${name}`],
    ...['--rename-command', other, name],
  ]
  return startRedis({ args: [...instead('PEXPIRE', 'EXPIRE'), ...instead('PTTL', 'TTL')] })
}
