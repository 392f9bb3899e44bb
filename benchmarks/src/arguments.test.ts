import { UsageError } from '@spillway/command-line'
import { expect, test } from 'vitest'
import { readArguments } from './arguments.ts'
import { questions } from './questions.ts'

test('without arguments all questions are measured, five rounds, and written', () => {
  expect(readArguments([])).toEqual({
    ...{ questions, caseText: '', rounds: 5, share: 1 },
    ...{ tables: false, partial: false, help: false },
  })
})

test('what is asked for is measured; parts are only printed', () => {
  const asked = readArguments(['--only', 'start', '--only=ram', '--rounds', '2'])
  expect(asked.questions.map(({ name }) => name).sort()).toEqual(['ram', 'start'])
  expect(asked).toMatchObject({ rounds: 2, partial: false })
  expect(readArguments(['--quick'])).toMatchObject({ rounds: 1, share: 0.2, partial: true })
  expect(readArguments(['--case', '10k keys'])).toMatchObject({ caseText: '10k keys', partial: true })
})

test.each([
  [['--only', 'start', '--only', 'typo'], "not 'typo'"],
  [['--case', 'typo'], "--case: no case of these questions has 'typo' in its name"],
  [['--only', 'start', '--case', '512'], "'512'"],
  [['--rounds', '0'], '--rounds takes a whole number from 1'],
  [['--rounds', 'many'], "not 'many'"],
  [['--speed'], "Unknown option '--speed' (--help"],
  [['start'], 'start'],
])('%j is refused: %s', (args, complaint) => {
  expect(() => readArguments(args)).toThrow(UsageError)
  expect(() => readArguments(args)).toThrow(complaint)
})
