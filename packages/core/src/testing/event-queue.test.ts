import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EventQueue } from './event-queue.ts'

test('events come in the order of their times, those of one time as planned, cancelled ones never', () => {
  const plans = fc.array(fc.record({ at: fc.nat(20), cancelled: fc.boolean(), takeFirst: fc.boolean() }))
  fc.assert(
    fc.property(plans, (all) => {
      const queue = new EventQueue()
      const there: { at: number; place: number }[] = []
      const expectNext = () => {
        there.sort((one, other) => one.at - other.at || one.place - other.place)
        const next = there.shift()
        expect(queue.nextAt).toBe(next?.at ?? Infinity)
        const ran: number[] = []
        place = (value) => ran.push(value)
        queue.take()?.run()
        expect(ran).toEqual(next === undefined ? [] : [next.place])
      }
      let place: (value: number) => void = () => {}
      for (const [number, { at, cancelled, takeFirst }] of all.entries()) {
        const event = queue.plan(at, () => place(number))
        if (cancelled) event.cancelled = true
        else there.push({ at, place: number })
        if (takeFirst) expectNext()
      }
      while (there.length > 0) expectNext()
      expectNext()
    }),
  )
})
