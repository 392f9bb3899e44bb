import { memoryStore } from '@spillway/core'
import { ManualClock } from '@spillway/core/testing'
import { expect, onTestFinished, test } from 'vitest'
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
