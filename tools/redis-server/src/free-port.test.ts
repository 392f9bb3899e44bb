import { expect, test } from 'vitest'
import { freePort } from './index.ts'

test('a port is given once: who still looks for a server that was killed must not meet another one', async () => {
  const ports = new Set<number>()
  for (let times = 0; times < 2000; times++) ports.add(await freePort())
  expect(ports.size).toBe(2000)
})
