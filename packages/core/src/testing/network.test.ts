import { expect, test } from 'vitest'
import { CALM, type NetworkConditions, travelling, Way } from './network.ts'
import { seededRandom } from './seeded-random.ts'

const MESSAGES = 10_000

/** Sends a message each millisecond; the arrivals, as the numbers of the messages in the order of their times. */
function send(conditions: Partial<NetworkConditions>, kind: 'request' | 'reply' = 'request') {
  const arrivals: { at: number; message: number; order: number }[] = []
  let now = 0
  const plan = (at: number, arrive: () => void) => {
    planned = at
    arrive()
  }
  let planned = 0
  const way = new Way({ ...CALM, ...conditions }, seededRandom(1), () => now, plan)
  for (let message = 0; message < MESSAGES; message++) {
    now = message
    way[kind](() => arrivals.push({ at: planned, message, order: arrivals.length }))
  }
  return arrivals.sort((one, other) => one.at - other.at || one.order - other.order)
}

test('a calm network passes each message once, after its latency', () => {
  const arrivals = send({ latency: 3 })
  expect(arrivals).toHaveLength(MESSAGES)
  expect(arrivals.every(({ at, message }) => at === message + 3)).toBe(true)
})

test('requests are lost and repeated, and replies are lost, as often as the conditions say', () => {
  expect(send({ requestLoss: 0.2 }).length / MESSAGES).toBeCloseTo(0.8, 1)
  expect(send({ requestLoss: 1 })).toHaveLength(0)
  expect(send({ duplication: 0.2 }).length / MESSAGES).toBeCloseTo(1.2, 1)
  expect(send({ replyLoss: 1, requestLoss: 0 })).toHaveLength(MESSAGES)
  expect(send({ replyLoss: 0.2 }, 'reply').length / MESSAGES).toBeCloseTo(0.8, 1)
  expect(send({ duplication: 1, requestLoss: 1 }, 'reply')).toHaveLength(MESSAGES)
})

test('a message overtakes an earlier one only where that is allowed', () => {
  const latency = (random: () => number) => 10 * random()
  const inOrder = (arrivals: ReturnType<typeof send>) =>
    arrivals.every(({ message }, place) => place === 0 || message >= (arrivals[place - 1]?.message as number))
  expect(inOrder(send({ latency }))).toBe(true)
  expect(inOrder(send({ latency, overtaking: true }))).toBe(false)
})

test('what the sender does with a message after sending it does not travel with it', () => {
  const entries = [1, 2]
  const message = { operations: [['settle', entries]], until: undefined, ask: null }
  const copy = travelling(message)
  expect(copy).toEqual(message)
  entries.push(3)
  expect(copy.operations).toEqual([['settle', [1, 2]]])
})
