/** Whether what was admitted is what the limit allows: a benchmark of something that decides wrongly says nothing. */
export function expectAdmitted(admitted: number, expected: number): void {
  if (admitted !== expected) throw new Error(`admitted ${admitted} where ${expected} is right`)
}

/** Lets everything else have its turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Microseconds of CPU that this process has used, in user and kernel. */
export function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** The number at this part of the sorted list: 0.5 is the median. */
export function quantile(numbers: readonly number[] | Float64Array, part: number): number {
  const sorted = Float64Array.from(numbers).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
}

/** The time of each is taken, and the median counts: a process that is not let run for a while is slow in a few of them. */
const SLICES = 256

/**
 * Nanoseconds a check, of so many checks in bursts between which everything else has its turn.
 *
 * @param act carries out so many
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
