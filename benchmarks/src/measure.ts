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
