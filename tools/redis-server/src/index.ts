export { findRedisServer } from './find.ts'
export { type RedisExit, type RedisOptions, type RedisServer, startRedis } from './start.ts'
