export type { RedisClient } from './store/redis/client.ts'
export { type RedisStoreOptions, redisStore } from './store/redis/redis-store.ts'
