import { expect, it } from 'vitest'
import { seededRandom } from '../testing.ts'
import { KeyPlaces } from './key-places.ts'

it('finds what a Map finds, in one list after the other, also in long ones and where their numbers begin again', () => {
  const random = seededRandom(7)
  const places = new KeyPlaces(9)
  for (let round = 0; round < 200; round++) {
    places.begin()
    const list: { key: string }[] = []
    const map = new Map<string, number>()
    const most = [1, 3, 40, 2000][round % 4] as number
    for (let asked = 0; asked < 2 * most; asked++) {
      const key = `key${Math.floor(random() * most)}`
      expect(places.placeOf(key, list)).toBe(map.get(key) ?? -1)
      if (map.has(key)) continue
      map.set(key, list.length)
      list.push({ key })
    }
  }
})
