import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { quantile } from '../measure.ts'
import type { Contender, Question } from '../question.ts'

// How long a fresh process takes from its first import to its first decision, in plain Node. Each start asks for a key of
// its own: they share a Redis.

const STARTS = 9
const MS = 'ms to the first decision'
const OURS = 'spillway, soft, memory store'
const FOLDER = fileURLToPath(new URL('../..', import.meta.url))

function contender(name: string, program: string): Contender {
  const text = `const began = performance.now()
${program}
if (!allowed || remaining !== 999) throw new Error('the first check was decided wrongly')
console.log(performance.now() - began)
process.exit()`
  return {
    name,
    run: async ({ redisUrl, share }) => {
      const times = Array.from({ length: Math.ceil(STARTS * share) }, () =>
        Number(
          execFileSync(process.execPath, ['--input-type=module', '--eval', text, redisUrl], {
            cwd: FOLDER,
            encoding: 'utf8',
          }),
        ),
      )
      return { [MS]: quantile(times, 0.5) }
    },
  }
}

const spillway = (options: string) => `const { createLimiter, fixedWindow } = await import('@spillway/core')
const limiter = createLimiter({ name: 'start', limit: fixedWindow({ limit: 1000, window: '1m' }), ${options} })
const { allowed, remaining } = await limiter.check('user:' + process.pid)`

export const start: Question = {
  name: 'start',
  title: 'Start',
  cases: [
    {
      name: 'start, from the first import to the first decision',
      redis: true,
      contenders: [
        contender(OURS, spillway("mode: 'soft'")),
        contender('spillway, hard, memory store', spillway("mode: 'hard'")),
        contender(
          'spillway, hard, Redis',
          `const { redisStore } = await import('@spillway/core/redis')
${spillway("store: redisStore(process.argv[1]), timeout: '10s'")}`,
        ),
        contender(
          'rate-limiter-flexible, memory',
          `const { RateLimiterMemory } = await import('rate-limiter-flexible')
const { consumedPoints, remainingPoints: remaining } = await new RateLimiterMemory({ points: 1000, duration: 60 }).consume('user:' + process.pid)
const allowed = consumedPoints > 0`,
        ),
        contender(
          'rate-limiter-flexible, Redis',
          `const { RateLimiterRedis } = await import('rate-limiter-flexible')
const { Redis } = await import('ioredis')
const storeClient = new Redis(process.argv[1])
const { consumedPoints, remainingPoints: remaining } = await new RateLimiterRedis({ storeClient, points: 1000, duration: 60 }).consume('user:' + process.pid)
const allowed = consumedPoints > 0`,
        ),
      ],
      targets: [{ measure: MS, ours: OURS, atMost: 60 }],
    },
  ],
}
