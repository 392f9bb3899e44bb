import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readAccessLog } from './access-log.ts'
import { decodeTrace, encodeTrace, readShippedTrace, shippedTraceUrl } from './shipped-trace.ts'
import { requestsByClient } from './trace.ts'

const log = fileURLToPath(new URL('../../../shared/data/access.log', import.meta.url))

describe('a trace as CSV', () => {
  it('keeps the times and numbers the clients', () => {
    const csv = encodeTrace([
      { at: 0, client: '10.0.0.1' },
      { at: 0, client: '10.0.0.2' },
      { at: 70, client: '10.0.0.1' },
    ])
    expect(csv).toBe('gap,client\n0,1\n0,2\n70,1\n')
    expect(decodeTrace(csv)).toEqual([
      { at: 0, client: '1' },
      { at: 0, client: '2' },
      { at: 70, client: '1' },
    ])
  })
})

describe('the trace that ships with the demo', () => {
  it('holds whole seconds and numbered clients, in order of time', async () => {
    const { requests } = await readShippedTrace()
    expect(requests).toHaveLength(9_999)
    expect(requests[0]).toEqual({ at: 0, client: '1' })
    expect(requests.every(({ at, client }) => Number.isInteger(at) && /^\d{1,4}$/.test(client))).toBe(true)
    expect(requests.every(({ at }, index) => index === 0 || at >= requests[index - 1]!.at)).toBe(true)
    expect(requestsByClient(requests).size).toBe(1_753)
  })

  it.runIf(existsSync(log))('is what the script derives from the access log', async () => {
    const { requests, skipped } = await readAccessLog(log)
    expect(skipped).toBe(1)
    expect(encodeTrace(requests)).toBe(await readFile(shippedTraceUrl, 'utf8'))
  })
})
