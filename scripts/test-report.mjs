import { fileURLToPath } from 'node:url'

/** Where `npm test` leaves vitest's JSON report, for `.ci/run`. */
export const REPORT = fileURLToPath(new URL('../.tmp/test-report.json', import.meta.url))
