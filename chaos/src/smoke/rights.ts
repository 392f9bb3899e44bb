/**
 * The least that a Redis user for Spillway needs, in Redis's ACL language; in a cluster, `+cluster|slots` too. As in
 * SECURITY.md.
 */
export const LEAST_RIGHTS = [
  '~spillway:*',
  ...['+eval', '+evalsha', '+script|load', '+time', '+info', '+pexpire', '+pexpireat', '+pttl', '+unlink'],
  ...['+hget', '+hgetall', '+hmget', '+hset', '+hdel', '+hlen', '+hrandfield'],
  ...['+zadd', '+zcard', '+zrange', '+zrangebyscore', '+zremrangebyscore', '+zremrangebyrank'],
  ...['+rpush', '+lrange', '+ltrim'],
]
