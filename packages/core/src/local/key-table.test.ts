import { expect, it } from 'vitest'
import { seededRandom } from '../testing.ts'
import { type Held, hashOf, KeyTable } from './key-table.ts'

class Key implements Held {
  next: Key | undefined = undefined
  used = false
  constructor(
    readonly key: string,
    readonly hash = hashOf(key),
  ) {}
}

it('holds what was added and not deleted, as a Map does', () => {
  const random = seededRandom(1)
  const table = new KeyTable<Key>(Infinity, () => expect.unreachable())
  const model = new Map<string, Key>()
  let wrong = 0
  for (let turn = 0; turn < 60_000; turn++) {
    const name = `key-${Math.floor(random() * 20_000)}`
    const held = model.get(name)
    if (table.get(name, hashOf(name)) !== held) wrong++
    if (held === undefined) {
      const key = new Key(name)
      table.add(key)
      model.set(name, key)
    } else if (random() < 0.3) {
      if (!table.delete(held) || table.delete(held)) wrong++
      model.delete(name)
    }
    if (table.size !== model.size) wrong++
  }
  expect(wrong).toBe(0)
  expect(model.size).toBeGreaterThan(8192)
  expect(new Set(table.values())).toEqual(new Set(model.values()))
})

it('tells keys of one hash apart', () => {
  const table = new KeyTable<Key>(10, () => expect.unreachable())
  const keys = ['one', 'two', 'three', 'four'].map((name) => new Key(name, 7))
  for (const key of keys) table.add(key)
  for (const key of keys) expect(table.get(key.key, 7)).toBe(key)
  expect(table.delete(keys[2] as Key)).toBe(true)
  expect(keys.map((key) => table.get(key.key, 7))).toEqual([keys[0], keys[1], undefined, keys[3]])
})

it.each([1, 2, 64, 10_000])('holds %i at the most, and those in use stay', (max) => {
  const evicted: Key[] = []
  const table = new KeyTable<Key>(max, (key) => evicted.push(key))
  const hot = Array.from({ length: Math.floor(max / 4) }, (_, place) => new Key(`hot-${place}`))
  for (const key of hot) table.add(key)
  for (let place = 0; place < 5 * max; place++) {
    const key = new Key(`cold-${place}`)
    table.add(key)
    if (place % 2 === 0 && table.get(key.key, key.hash) !== key) expect.unreachable()
    if (table.size > max) expect.unreachable()
    if (place % 8 === 0) for (const { key, hash } of hot) table.get(key, hash)
  }
  expect(evicted.length).toBe(hot.length + 5 * max - max)
  expect(new Set(evicted).size).toBe(evicted.length)
  expect(evicted.filter(({ key }) => key.startsWith('hot')).length).toBeLessThanOrEqual(hot.length / 50)
})

it.each([
  ['numbered', (place: number) => `user:${place}`],
  ['alike at their ends', (place: number) => `tenant-${place}-of-the-same-name@example.com`],
  ['addresses', (place: number) => `10.${place >> 16}.${(place >> 8) & 255}.${place & 255}`],
])('keys fill the buckets alike: %s', (_, name) => {
  const counts = new Uint32Array(4096)
  for (let place = 0; place < 65_536; place++) counts[hashOf(name(place)) & 4095]!++
  // 16 each; of numbers drawn by chance, the fullest of 4,096 buckets has about 34.
  expect(Math.max(...counts)).toBeLessThan(48)
  expect(Math.min(...counts)).toBeGreaterThan(0)
})
