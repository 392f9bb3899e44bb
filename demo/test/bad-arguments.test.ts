import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { runDemo } from './run-demo.ts'

const here = fileURLToPath(import.meta.url)

it.concurrent.each([
  ['an unknown option', ['--frobnicate'], /frobnicate/],
  ['a log that does not exist', ['--log', 'no/such\nfile.log'], /cannot read .*ENOENT/],
  ['a file that is no log', ['--log', here], /not an access log/],
  ['a URL that is none', ['--redis', 'localhost'], /--redis takes a URL/],
  [
    'a Redis that is not there',
    ['--redis', 'redis://name:secret@127.0.0.1:1'],
    /no usable Redis at redis:..127\.0\.0\.1:1/,
  ],
])('says in one line what is wrong with %s, and ends with exit code 2', async (_, args, complaint) => {
  const { code, stdout, stderr } = await runDemo([...args, '--json'])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(/^spillway demo: [^\n]+\n$/)
  expect(stderr).toMatch(complaint)
  expect(stderr).not.toContain('secret')
})

it.concurrent('explains itself', async () => {
  const { code, stdout, stderr } = await runDemo(['--help'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain('--log FILE')
})
