/** A turn of the event loop that took no longer than this did nothing worth counting. */
const IDLE_MS = 0.1

/** How many milliseconds each busy turn held the event loop while this ran. */
export async function holdsWhile(act: () => Promise<void>): Promise<number[]> {
  const holds: number[] = []
  let watching = true
  let before = process.hrtime.bigint()
  const look = () => {
    const now = process.hrtime.bigint()
    const held = Number(now - before) / 1e6
    if (held > IDLE_MS) holds.push(held)
    before = now
    // Immediates keep the loop from waiting, so a turn's length is its work.
    if (watching) setImmediate(look)
  }
  setImmediate(look)
  try {
    await act()
  } finally {
    watching = false
  }
  return holds
}
