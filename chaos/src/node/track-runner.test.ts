import { memoryStore } from '@spillway/core'
import { faultyStore, ManualClock } from '@spillway/core/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { EventLoop } from './event-loop.ts'
import type { Job, Track } from './job.ts'
import { TrackRunner } from './track-runner.ts'

const track: Track = { label: 'soft short', mode: 'soft', onOutage: 'local', limit: 1000, window: 2000 }
const job: Job = {
  ...{ run: 'test', target: { how: 'redis', client: 'ioredis' }, tracks: [track], journal: '' },
  ...{ timeout: 200, interval: 200 },
  load: { steadyRate: 1, steadyKeys: 1, steadyFor: 1, hotRate: 1, hotCost: 1, hotFor: 1 },
}

test('what the store has acknowledged before the record began is not in it, also of a window that goes on', async () => {
  const clock = new ManualClock(10_000)
  const loop = new EventLoop()
  onTestFinished(() => loop.stop())
  const runner = new TrackRunner(track, job, memoryStore({ clock }), loop, clock)
  const offer = async (cost: number) => {
    runner.announce('key', cost)
    runner.offer('key', cost)
    await clock.advance(1)
    await runner.flush()
  }
  await offer(3)
  runner.clear()
  await offer(2)
  expect(runner.tally.keys.key?.counted).toBe(2)
  expect(runner.tally.acknowledged).toBe(2)
  // The next window's counts begin anew.
  await clock.advance(2000)
  await offer(4)
  expect(runner.tally.acknowledged).toBe(6)
  await runner.close()
})

/** A hard limiter's runner, whose store can break. @param jitter of its probes, from 0 to 1 */
function breakable(jitter = 0.5) {
  const random = vi.spyOn(Math, 'random').mockReturnValue(jitter)
  onTestFinished(() => random.mockRestore())
  const clock = new ManualClock(10_000)
  const loop = new EventLoop()
  onTestFinished(() => loop.stop())
  const store = faultyStore(memoryStore({ clock }), { clock })
  const hard: Track = { ...track, label: 'hard deny', mode: 'hard', onOutage: 'deny', window: 1e10 }
  const runner = new TrackRunner(hard, job, store, loop, clock)
  onTestFinished(() => runner.close())
  runner.enter('during')
  return { clock, store, runner, during: runner.tally.phases.during }
}

test.each([0, 0.5, 0.999])(
  'what a store answers in the fault was sent to no dead store: jitter %s',
  async (jitter) => {
    const { clock, store, runner, during } = breakable(jitter)
    const load = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 10) {
        runner.offer('key', 1)
        await clock.advance(10)
      }
      runner.refresh()
    }
    await load(20)
    expect(during).toMatchObject({ storeCalls: 2, unanswered: 0 })
    store.goAway(3000)
    await load(3000)
    const { unanswered } = during
    expect(during.storeCalls).toBe(2 + unanswered)
    // One that is refused, and then probes after 100, 200, 400, 800 and 1600 ms, each of them by up to a half sooner.
    expect(unanswered).toBeGreaterThan(4)
    expect(unanswered).toBeLessThan(9)
    // The next probe comes 3300 ms later at most.
    await load(5000)
    expect(during.storeCalls).toBeGreaterThan(100)
    expect(during.unanswered).toBe(unanswered)
  },
)

test('what comes when nobody waits for it any more is no answer', async () => {
  const { clock, store, runner, during } = breakable()
  const asked = async (latency: number) => {
    Object.assign(store.network, { latency })
    runner.offer('key', 1)
    await clock.advance(500)
  }
  await asked(99)
  expect(during.unanswered).toBe(0)
  // It is there in time; its answer is not.
  await asked(101)
  expect(during.unanswered).toBe(1)
})
