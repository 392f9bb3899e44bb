import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { LEAST_RIGHTS } from './rights.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

test('the least rights are those of the commands in the scripts, and a few that clients send', () => {
  const core = join(ROOT, 'packages/core/src')
  const scripts = readdirSync(core, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.lua.ts'),
  )
  const text = scripts.map((file) => readFileSync(join(core, file), 'utf8')).join('\n')
  const called = [...text.matchAll(/redis\.call\('([A-Z]+)'/g)].map(
    ([, command]) => `+${command?.toLowerCase()}`,
  )
  const sent = ['+eval', '+evalsha', '+script|load', '+info']
  expect(called.length).toBeGreaterThan(20)
  expect([...LEAST_RIGHTS].sort()).toEqual([...new Set([...called, ...sent, '~spillway:*'])].sort())
})

test('SECURITY.md grants the same', () => {
  expect(readFileSync(join(ROOT, 'SECURITY.md'), 'utf8')).toContain(LEAST_RIGHTS.join(' '))
})
