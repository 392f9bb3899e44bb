/** Throws unless what was admitted is what the limit allows: a benchmark of wrong decisions says nothing. */
export function expectAdmitted(admitted: number, expected: number): void {
  if (admitted !== expected) throw new Error(`admitted ${admitted} where ${expected} is right`)
}

const SAMPLES = 100

/**
 * Asks for some keys once more, and throws unless what remains by their answers is what the limit leaves: a limiter that
 * admits everything and counts nothing is found out even where no key comes near its limit.
 *
 * @param counts how often each key has been asked for, with cost 1
 * @param freed how much of a key's count may have been freed meanwhile: all of it, in a bucket that drains
 * @param ask returns what remains by the key's answer
 */
export async function expectRemaining(
  counts: Uint32Array,
  limit: number,
  ask: (place: number) => number | Promise<number>,
  freed = 0,
): Promise<void> {
  for (let place = 0; place < counts.length; place += Math.ceil(counts.length / SAMPLES)) {
    const remaining = await ask(place)
    const asked = (counts[place] as number) + 1
    const least = Math.max(0, limit - asked)
    const most = Math.min(limit - 1, least + freed)
    if (!(remaining >= least && remaining <= most)) {
      throw new Error(`key ${place}: ${remaining} of ${limit} remain after ${asked} checks`)
    }
  }
}

/** Lets everything else take its turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Microseconds of CPU that this process has used, in user and kernel mode. */
export function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** The quantile of the numbers: a part of 0.5 is the median. */
export function quantile(numbers: readonly number[] | Float64Array, part: number): number {
  const sorted = Float64Array.from(numbers).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
}

/** How many slices are timed; the median counts. A process that is not scheduled for a while slows only a few. */
const SLICES = 256

/**
 * Nanoseconds per check, over this many checks in bursts, between which everything else takes its turn.
 *
 * @param act carries out this many checks
 */
export async function medianOfSlices(
  checks: number,
  burst: number,
  act: (checks: number) => Promise<void> | undefined,
): Promise<number> {
  const slice = Math.ceil(checks / SLICES)
  const times: number[] = []
  for (let done = 0; done < checks; ) {
    const began = process.hrtime.bigint()
    const first = done
    while (done < first + slice && done < checks) {
      const next = Math.min(checks - done, burst)
      const acting = act(next)
      if (acting !== undefined) await acting
      done += next
      await turn()
    }
    times.push(Number(process.hrtime.bigint() - began) / (done - first))
  }
  return quantile(times, 0.5)
}
