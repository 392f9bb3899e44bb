import { expect, it } from 'vitest'
import type { Algorithm } from '../algorithms/algorithm.ts'
import { fixedWindow } from '../algorithms/fixed-window/fixed-window.ts'
import { seededRandom } from '../testing.ts'
import { hashOf, KeyTable } from './key-table.ts'
import { type Held, Rows, type Segment } from './rows.ts'

class Key implements Held {
  declare row: Segment<this>
  declare at: number
  constructor(
    readonly name: string,
    readonly hash = hashOf(name),
  ) {}
}

const LIMIT = fixedWindow({ limit: 1, window: '1s' }) as Algorithm

/** A table, and the rows of its keys alone. */
class Table {
  readonly rows = new Rows<Key>(() => LIMIT.cells())
  private readonly keys: KeyTable<Key>

  constructor(max: number, evicted: (key: Key) => void) {
    this.keys = new KeyTable(this.rows, max, (key) => {
      this.rows.delete(key)
      evicted(key)
    })
  }

  get size(): number {
    return this.keys.size
  }

  get(name: string, hash = hashOf(name)): Key | undefined {
    const row = this.keys.find(name, hash)
    return row < 0 ? undefined : this.rows.key(row)
  }

  add(key: Key): void {
    this.rows.add(key, key.name)
    this.keys.add(key, key.hash)
  }

  delete(key: Key): boolean {
    if (!this.keys.delete(key, key.hash)) return false
    this.rows.delete(key)
    return true
  }
}

it('holds what was added and not deleted, as a Map does', () => {
  const random = seededRandom(1)
  const table = new Table(Infinity, () => expect.unreachable())
  const model = new Map<string, Key>()
  let wrong = 0
  for (let turn = 0; turn < 60_000; turn++) {
    const name = `key-${Math.floor(random() * 20_000)}`
    const held = model.get(name)
    if (table.get(name) !== held) wrong++
    if (held === undefined) {
      const key = new Key(name)
      table.add(key)
      model.set(name, key)
    } else if (random() < 0.3) {
      if (!table.delete(held) || table.get(name) !== undefined) wrong++
      model.delete(name)
    }
    if (table.size !== model.size) wrong++
  }
  expect(wrong).toBe(0)
  expect(model.size).toBeGreaterThan(8192)
  expect(new Set(table.rows)).toEqual(new Set(model.values()))
})

it('tells keys of one hash apart', () => {
  const table = new Table(10, () => expect.unreachable())
  const keys = ['one', 'two', 'three', 'four'].map((name) => new Key(name, 7))
  for (const key of keys) table.add(key)
  for (const key of keys) expect(table.get(key.name, 7)).toBe(key)
  expect(table.delete(keys[2] as Key)).toBe(true)
  expect(keys.map((key) => table.get(key.name, 7))).toEqual([keys[0], keys[1], undefined, keys[3]])
})

it.each([1, 2, 64, 10_000])('holds %i at the most, and those in use stay', (max) => {
  const evicted: Key[] = []
  const table = new Table(max, (key) => evicted.push(key))
  const hot = Array.from({ length: Math.floor(max / 4) }, (_, place) => new Key(`hot-${place}`))
  for (const key of hot) table.add(key)
  for (let place = 0; place < 5 * max; place++) {
    const key = new Key(`cold-${place}`)
    table.add(key)
    if (place % 2 === 0 && table.get(key.name) !== key) expect.unreachable()
    if (table.size > max) expect.unreachable()
    if (place % 8 === 0) for (const { name } of hot) table.get(name)
  }
  expect(evicted.length).toBe(hot.length + 5 * max - max)
  expect(new Set(evicted).size).toBe(evicted.length)
  expect(evicted.filter(({ name }) => name.startsWith('hot')).length).toBeLessThanOrEqual(hot.length / 50)
})

it('grows a page that no bit of a hash divides', () => {
  const table = new Table(Infinity, () => expect.unreachable())
  const keys = Array.from({ length: 2100 }, (_, place) => new Key(`key-${place}`, 7))
  for (const key of keys) table.add(key)
  expect(keys.filter((key) => table.get(key.name, 7) !== key)).toEqual([])
})

/** Hashes as a table may meet them: by chance, and, where all of these are low or alike, more of one page than of others. */
const HASHES: Record<string, (random: () => number) => number> = {
  'by chance': (random) => Math.floor(random() * 2 ** 30),
  'nearly all low': (random) => Math.floor(random() ** 4 * 2 ** 30),
  'nearly all high': (random) => 2 ** 30 - 1 - Math.floor(random() ** 6 * 2 ** 30),
  'of one page': (random) => Math.floor(random() * 4096),
}

it.each(
  Object.entries(HASHES).flatMap(([name, hash]) => [Infinity, 5000].map((max) => [name, max, hash] as const)),
)('holds what was added, also of hashes %s, %d at the most', (_, max, hash) => {
  const random = seededRandom(3)
  const model = new Map<string, Key>()
  let wrong = 0
  const table = new Table(max, (key) => {
    if (!model.delete(key.name)) wrong++
  })
  const hashes = Array.from({ length: 16_000 }, () => hash(random))
  for (let turn = 0; turn < 40_000; turn++) {
    const at = Math.floor(random() * hashes.length)
    const name = `key-${at}`
    const held = model.get(name)
    if (table.get(name, hashes[at]) !== held) wrong++
    if (held === undefined) {
      const key = new Key(name, hashes[at])
      table.add(key)
      model.set(name, key)
    } else if (random() < 0.1) {
      if (!table.delete(held)) wrong++
      model.delete(name)
    }
  }
  for (const key of model.values()) if (table.get(key.name, key.hash) !== key) wrong++
  expect(wrong).toBe(0)
  expect([table.size, Math.min(max, 4500) <= model.size]).toEqual([model.size, true])
})

it.each([
  ['numbered', (place: number) => `user:${place}`],
  ['alike at their ends', (place: number) => `tenant-${place}-of-the-same-name@example.com`],
  ['addresses', (place: number) => `10.${place >> 16}.${(place >> 8) & 255}.${place & 255}`],
])('keys fill pages and slots alike: %s', (_, name) => {
  // A page by its first bits, and a slot there by its last.
  for (const part of [(hash: number) => hash >>> 18, (hash: number) => hash & 4095]) {
    const counts = new Uint32Array(4096)
    for (let place = 0; place < 262_144; place++) counts[part(hashOf(name(place)))]!++
    // 64 each; of numbers drawn by chance, one of 4,096 has 110 in one of 10,000 runs, and 27 in one of 100,000.
    expect(Math.max(...counts)).toBeLessThan(140)
    expect(Math.min(...counts)).toBeGreaterThan(15)
  }
})

it('keeps what lies in a row, however many come and go, also with who was forgotten', () => {
  const random = seededRandom(2)
  const table = new Table(Infinity, () => expect.unreachable())
  const numbers = new Map<Key, number>()
  const forgotten = new Map<Key, number>()
  const write = ({ row, at }: Key, number: number) => {
    row.setReady(at, number)
    row.setFlags(at, number + 1)
    row.setSlice(at, 1000 * number)
    Object.assign(row.state(at) as object, { slice: number, count: 2 ** 40 + number })
  }
  const read = ({ row, at }: Key) => {
    const { slice, count } = row.state(at) as unknown as { slice: number; count: number }
    return [row.ready(at), row.flags(at), row.slice(at), slice, count]
  }
  const holds = (key: Key, number: number) =>
    expect(read(key)).toEqual([number, number + 1, 1000 * number, number, 2 ** 40 + number])
  for (let turn = 0; turn < 20_000; turn++) {
    const name = `key-${Math.floor(random() * 8000)}`
    const held = table.get(name)
    if (held === undefined) {
      const key = new Key(name)
      table.add(key)
      expect(read(key)).toEqual([0, 0, -1, -1, 0])
      write(key, turn)
      numbers.set(key, turn)
    } else if (random() < 0.4) {
      table.delete(held)
      forgotten.set(held, numbers.get(held) as number)
      numbers.delete(held)
    } else {
      write(held, turn)
      numbers.set(held, turn)
    }
  }
  for (const [key, number] of [...numbers, ...forgotten]) holds(key, number)
  expect(Math.min(numbers.size, forgotten.size)).toBeGreaterThan(1000)
})
