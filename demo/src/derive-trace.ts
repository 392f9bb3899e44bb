/**
 * Makes the trace that ships with the demo out of an access log:
 *
 *     pnpm --filter @spillway/demo derive-trace ../../shared/data/access.log
 */
import { writeFile } from 'node:fs/promises'
import { readAccessLog } from './access-log.ts'
import { encodeTrace, shippedTraceUrl } from './shipped-trace.ts'

const [path = '../../shared/data/access.log'] = process.argv.slice(2)
const trace = await readAccessLog(path)
await writeFile(shippedTraceUrl, encodeTrace(trace.requests))
console.log(`${trace.requests.length} requests, ${trace.skipped} lines skipped`)
