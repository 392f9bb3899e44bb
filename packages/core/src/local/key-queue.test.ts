import { expect, test } from 'vitest'
import type { Algorithm } from '../algorithms/algorithm.ts'
import { fixedWindow } from '../index.ts'
import { HeldKeys } from './held-keys.ts'
import { KeyQueue } from './key-queue.ts'
import type { LocalKey } from './local-key.ts'

const limit = fixedWindow({ limit: 1, window: '1s' }) as Algorithm
const held = new HeldKeys(
  100_000,
  limit,
  () => 0,
  () => expect.unreachable(),
)
const key = (name: string) => held.add(name, limit, 0, undefined)

function drained(queue: KeyQueue): string[] {
  const names: string[] = []
  for (let one = queue.next(); one !== undefined; one = queue.next()) names.push(one.key)
  return names
}

test('keys come out in their order, each once, and may come again', () => {
  const queue = KeyQueue.first()
  const [one, two] = [key('one'), key('two')]
  for (const each of [one, two]) queue.add(each)
  expect(queue.length).toBe(2)
  expect(drained(queue)).toEqual(['one', 'two'])
  expect([one.queueNumber, queue.length]).toEqual([0, 0])
  queue.add(one)
  expect(drained(queue)).toEqual(['one'])
})

test('a key that was taken out, or put into another queue, does not come', () => {
  const queue = KeyQueue.first()
  const other = queue.following()
  const keys = ['out', 'moved', 'again', 'stays'].map(key)
  const [out, moved, again] = keys as [LocalKey, LocalKey, LocalKey, LocalKey]
  for (const each of keys) queue.add(each)
  out.queueNumber = 0
  other.add(moved)
  again.queueNumber = 0
  queue.add(again)
  expect(drained(queue)).toEqual(['again', 'stays'])
  expect(drained(other)).toEqual(['moved'])
})

test('a number comes again only after fifteen queues', () => {
  let queue = KeyQueue.first()
  const numbers = Array.from({ length: 16 }, () => {
    const one = key('one')
    queue.add(one)
    queue = queue.following()
    return one.queueNumber
  })
  expect(new Set(numbers).size).toBe(15)
  expect(numbers[15]).toBe(numbers[0])
})

test('the flags of a key do not mix with the number of its queue', () => {
  const queue = KeyQueue.first().following().following()
  const one = key('one')
  one.queued = true
  queue.add(one)
  one.urgent = true
  one.queued = false
  expect([one.queueNumber, one.urgent, one.queued]).toEqual([3, true, false])
  one.queueNumber = 0
  expect([one.queueNumber, one.urgent, one.queued]).toEqual([0, true, false])
})

test('however many there are, they come out in their order, also while others come', () => {
  const queue = KeyQueue.first()
  const names = Array.from({ length: 20_000 }, (_, place) => `key-${place}`)
  const out: string[] = []
  for (const [place, name] of names.entries()) {
    queue.add(key(name))
    if (place % 3 === 0) out.push(queue.next()?.key as string)
  }
  expect(queue.length).toBe(names.length - out.length)
  out.push(...drained(queue))
  expect(out).toEqual(names)
  expect([queue.length, queue.next()]).toEqual([0, undefined])
  queue.add(key('again'))
  expect(drained(queue)).toEqual(['again'])
})
