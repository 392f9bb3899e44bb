import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, expectTypeOf, test } from 'vitest'
import { readNumber, readOptions, readPattern, UsageError } from './index.ts'

const OPTIONS = {
  only: { type: 'string', multiple: true },
  seed: { type: 'string', default: '1' },
  quick: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

test('reads options, with their types', () => {
  const values = readOptions(['--only', 'one', '--only=two', '-h'], OPTIONS)
  expect(values).toEqual({ only: ['one', 'two'], seed: '1', quick: false, help: true })
  expectTypeOf(values.only).toEqualTypeOf<string[] | undefined>()
  expectTypeOf(values.seed).toEqualTypeOf<string>()
})

test.each([
  [['--speed'], "Unknown option '--speed' (--help lists the options)"],
  [['stray'], "Unexpected argument 'stray'"],
  [['--seed'], "Option '--seed <value>' argument missing"],
  [['--seed', '--quick'], "Option '--seed' argument is ambiguous"],
  [['--quick=yes'], "Option '--quick' does not take an argument"],
])('%j is refused in one line: %s', (args, complaint) => {
  expect(() => readOptions(args, OPTIONS)).toThrow(UsageError)
  expect(() => readOptions(args, OPTIONS)).toThrow(complaint)
  expect(() => readOptions(args, OPTIONS)).not.toThrow(/\n/)
})

test('where there is no --help it is not named', () => {
  expect(() => readOptions(['--speed'], {})).toThrow(/^Unknown option '--speed'$/)
})

test.each(['', '0', '11', '-1', '2.5', '0x4', '1e1', 'many', '٣'])(
  "'%s' is no whole number from 1 to 10",
  (text) => {
    expect(() => readNumber('--nodes', text, { least: 1, most: 10 })).toThrow(
      new UsageError(`--nodes takes a whole number from 1 to 10, not '${text}'`),
    )
  },
)

test('numbers within the range are read', () => {
  expect(readNumber('--nodes', '1', { least: 1, most: 10 })).toBe(1)
  expect(readNumber('--nodes', '10', { least: 1, most: 10 })).toBe(10)
  expect(readNumber('--seconds', '0.5', { least: 0.1, most: 10, whole: false })).toBe(0.5)
})

test('a pattern is a regular expression', () => {
  expect(readPattern('--only', '^node-')).toEqual(/^node-/)
  expect(() => readPattern('--only', '(')).toThrow(
    new UsageError("--only takes a regular expression such as '^node-', not '('"),
  )
})

test.each([
  ["throw new UsageError('--speed is unknown')", 2, 'tool: --speed is unknown\n'],
  ["throw new Error('a fault')", 1, 'Error: a fault'],
  ['return 7', 7, ''],
])('a process that reads by `%s` ends with %i', (body, status, told) => {
  const module = fileURLToPath(new URL('./index.ts', import.meta.url))
  const program = `import { readOrExit, UsageError } from ${JSON.stringify(module)}
    process.exit(readOrExit('tool', () => { ${body} }))`
  const ended = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('../../..', import.meta.url)),
    encoding: 'utf8',
  })
  expect(ended.status).toBe(status)
  expect(ended.stderr).toContain(told)
})
