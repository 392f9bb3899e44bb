import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

// Workspace packages are tested from their sources: no build has to come first.
const conditions = ['@spillway/source', 'module', 'node', 'development|production']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: [
      'packages/*/{src,test}/**/*.test.ts',
      'demo/**/*.test.ts',
      'benchmarks/**/*.test.ts',
      'examples/**/*.test.ts',
      'accuracy/**/*.test.ts',
      'chaos/**/*.test.ts',
      'tools/**/*.test.ts',
      'test/**/*.test.ts',
    ],
    globalSetup: './test/setup/redis.ts',
    setupFiles: './test/setup/fast-check.ts',
    maxWorkers: availableParallelism(),
    // Only for what hangs: no test may fail since the machine is slow or busy.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    passWithNoTests: false,
  },
})
