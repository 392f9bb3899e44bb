import { expect, test } from 'vitest'
import { AnswerTimer } from './answer-timer.ts'
import { ManualClock } from './testing.ts'

function setUp() {
  const clock = new ManualClock(0)
  const timer = new AnswerTimer(clock)
  const told: string[] = []
  /** Waits so long for an answer; returns what gives it. */
  const wait = (name: string, ms: number) => {
    let answer = (_: string) => {}
    const promise = new Promise<string>((resolve) => {
      answer = resolve
    })
    timer.wait(
      promise,
      clock.monotonic() + ms,
      clock.monotonic(),
      (its) => told.push(`${name}: ${its}`),
      () => told.push(`${name}: none`),
    )
    return answer
  }
  return { clock, timer, told, wait }
}

test('each wait ends once, at its own deadline or with its answer, in whatever order they began', async () => {
  const { clock, told, wait } = setUp()
  const first = wait('first', 30)
  wait('second', 20)
  wait('third', 10)
  wait('fourth', 20)
  first('here')
  await clock.advance(9)
  expect(told).toEqual(['first: here'])
  await clock.advance(1)
  expect(told).toEqual(['first: here', 'third: none'])
  await clock.advance(10)
  expect(told.slice(2).sort()).toEqual(['fourth: none', 'second: none'])
  await clock.advance(100)
  expect(told).toHaveLength(4)
})

test('an answer that comes after its deadline is told to nobody', async () => {
  const { clock, told, wait } = setUp()
  const late = wait('late', 10)
  await clock.advance(10)
  late('here')
  await clock.advance(10)
  expect(told).toEqual(['late: none'])
})

test('one timer stands for all, and once closed none outlives the last wait', async () => {
  const { clock, timer, told, wait } = setUp()
  const answers = Array.from({ length: 100 }, (_, place) => wait(`${place}`, 1000 - place))
  expect(clock.waiting).toBe(1)
  timer.close()
  expect(clock.waiting).toBe(1)
  for (const answer of answers) answer('here')
  await clock.advance(0)
  expect(told).toHaveLength(100)
  expect(clock.waiting).toBe(0)
})
