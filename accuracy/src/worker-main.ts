/** A process that measures the jobs it is sent, one after the other. */
import { type Job, measure } from './measure.ts'

process.on('message', async (job: Job) => {
  process.send?.(await measure(job))
})
