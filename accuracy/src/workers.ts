import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Job, Measurement } from './measure.ts'

/** Runs from the sources, however this process was started. */
const EXEC = ['--conditions', '@spillway/source', '--import', 'tsx']
const WORKER = fileURLToPath(new URL('worker-main.ts', import.meta.url))

/** Measures the jobs in this many processes, the largest first; reports each measurement as it comes. */
export async function measureAll(
  jobs: readonly Job[],
  size: (job: Job) => number,
  processes: number,
  measured: (measurement: Measurement) => void,
): Promise<Measurement[]> {
  const waiting = [...jobs.entries()].sort(([, one], [, other]) => size(other) - size(one))
  const measurements: Measurement[] = []
  const work = async () => {
    const worker = fork(WORKER, { execArgv: EXEC })
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [place, job] = next
        const measurement = await ask(worker, job)
        measurements[place] = measurement
        measured(measurement)
      }
    } finally {
      worker.kill()
    }
  }
  await Promise.all(Array.from({ length: Math.min(processes, jobs.length) }, work))
  return measurements
}

async function ask(worker: ChildProcess, job: Job): Promise<Measurement> {
  const over = new AbortController()
  try {
    const { signal } = over
    const died = once(worker, 'exit', { signal }).then(() => {
      throw new Error(`the process that measured ${JSON.stringify(job)} died`)
    })
    const answer = once(worker, 'message', { signal })
    worker.send(job)
    const [measurement] = await Promise.race([answer, died])
    return measurement as Measurement
  } finally {
    over.abort()
  }
}
