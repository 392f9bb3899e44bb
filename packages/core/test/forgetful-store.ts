import type { Algorithm } from '../src/algorithms/algorithm.ts'
import { memoryStore } from '../src/store/memory.ts'
import type { Store, Table } from '../src/store/store.ts'
import type { ManualClock } from '../src/testing/manual-clock.ts'

/** A store that can be made to lose its data; one that does not `tell` goes on with its marker, as where a part was evicted. */
export function forgetful(
  clock: ManualClock,
  limit: Algorithm,
  tells = true,
): { store: Store; lose(): void } {
  const begin = () => memoryStore({ clock }).open('restoring', limit)
  let under = begin()
  const table: Table = {
    known: true,
    now: () => under.now(),
    latest: () => under.latest(),
    exchange: async (request) => {
      const reply = await under.exchange(request)
      return tells ? reply : { ...reply, marker: 'the same' }
    },
  }
  const lose = () => {
    under = begin()
  }
  return { store: { open: () => table, close: async () => {} }, lose }
}
