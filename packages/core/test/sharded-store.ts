import type { Store } from '../src/store/store.ts'

/** A store on which keys are spread over so many tables of another one. */
export function shardedStore(inner: Store, shards: number): Store {
  return {
    shards,
    open: (name, limit, group, shard = 0) => inner.open(`${name}#${shard}`, limit, group),
    close: () => inner.close(),
  }
}
