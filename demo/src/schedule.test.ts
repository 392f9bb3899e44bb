import { describe, expect, it } from 'vitest'
import { schedule } from './schedule.ts'

const at = (...times: number[]) => times.map((time, index) => ({ at: time, client: `${index}` }))

describe('schedule', () => {
  it('fits the trace into the given time, in proportion, with long silences cut', () => {
    const { shares, speed } = schedule(at(0, 10, 10 + 100_000, 80 + 100_000), {
      nodes: 1,
      seconds: 2,
      seed: 1,
    })
    // 10 s, a silence that counts as 60 s, and 60 of the last 70 s: 130 s in all.
    expect(speed).toBe(65)
    expect(shares[0]!.map(({ due }) => Math.round((due * 65) / 1000))).toEqual([0, 10, 70, 130])
  })

  it('replays requests of one instant at once', () => {
    const { shares, speed } = schedule(at(0, 0), { nodes: 1, seconds: 2, seed: 1 })
    expect([speed, shares[0]!.map(({ due }) => due)]).toEqual([0, [0, 0]])
  })

  it('gives each request to one node, the same with the same seed', () => {
    const requests = at(...Array.from({ length: 1_000 }, (_, index) => index))
    const deal = (seed: number) => schedule(requests, { nodes: 4, seconds: 1, seed }).shares
    const clients = deal(7)
      .flat()
      .map(({ client }) => Number(client))
    expect(clients.sort((one, other) => one - other)).toEqual(requests.map((_, index) => index))
    expect(deal(7)).toEqual(deal(7))
    expect(deal(7)).not.toEqual(deal(8))
    // A fair deal gives each node about 250; the seed makes it the same each time.
    expect(deal(7).every((share) => share.length > 200)).toBe(true)
  })
})
