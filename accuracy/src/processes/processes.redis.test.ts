import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import type { VariantName } from '../variants.ts'
import { Fleet, type NodeReport, softBound } from './fleet.ts'

const NODES = 8
const LIMIT = 1000
const RATE = 250
const CHECKS = 400
const INTERVAL = 100

let fleet: Fleet

beforeAll(async () => {
  fleet = new Fleet(inject('redisUrl'), NODES)
  await fleet.ready()
})
afterAll(() => fleet.end())

function name(what: string): string {
  return `processes-${process.pid}-${what}`
}

function sum(reports: readonly NodeReport[], turn: number): number {
  return reports.reduce((all, { turns }) => all + (turns[turn] as { admitted: number }).admitted, 0)
}

const extra: Partial<Record<VariantName, number>> = { capped: 0.05 * LIMIT, leased: 0, hard: 0 }

it.each(['soft', 'capped', 'leased', 'hard'] as const)(
  '%s: 8 processes keep their bound, clocks an hour off, and each admission is counted exactly once',
  async (variant) => {
    const turns = [{ variant, key: 'key', checks: CHECKS, rate: RATE }]
    const order = { name: name(variant), limit: LIMIT, interval: INTERVAL, turns }
    const reports = await fleet.follow(() => order)
    const admitted = sum(reports, 0)
    const most = reports.map(({ turns: [turn] }) => (turn as { most: number }).most)
    const bound = variant in extra ? LIMIT + (extra[variant] as number) : softBound(LIMIT, most)
    expect(admitted).toBeGreaterThanOrEqual(0.9 * LIMIT)
    expect(admitted).toBeLessThanOrEqual(bound)
    expect(reports.map(({ pending }) => pending)).toEqual(reports.map(() => 0))
    expect(await fleet.counted(order.name, 'key')).toBe(admitted)
  },
)

it('nodes that change their mode under load go on from the same counts', async () => {
  const modes: VariantName[] = ['hard', 'leased', 'soft', 'capped']
  const orderOf = (place: number) => ({
    ...{ name: name('switching'), limit: LIMIT, interval: INTERVAL },
    turns: modes.map((_, turn) => ({
      variant: modes[(place + turn) % modes.length] as VariantName,
      ...{ key: 'key', checks: CHECKS / 4, rate: RATE },
    })),
  })
  const reports = await fleet.follow(orderOf)
  const admitted = modes.reduce((all, _, turn) => all + sum(reports, turn), 0)
  // As strict as the loosest: what a soft node admits unheard, in any of its turns, may come on top of the budget.
  const most = reports.map(({ turns }) => Math.max(...turns.map((turn) => turn.most)))
  expect(admitted).toBeGreaterThanOrEqual(0.9 * LIMIT)
  expect(admitted).toBeLessThanOrEqual(softBound(LIMIT, most) + (extra.capped as number))
  expect(await fleet.counted(name('switching'), 'key')).toBe(admitted)
})
