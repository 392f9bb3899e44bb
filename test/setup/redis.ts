import { startRedis } from '@spillway/redis-server'
import type { TestProject } from 'vitest/node'

/** One throwaway Redis for the whole run; tests get its address with `inject('redisUrl')`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = await startRedis()
  project.provide('redisUrl', redis.url)
  return () => redis.stop()
}
