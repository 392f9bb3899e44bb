import { availableParallelism } from 'node:os'
import { UsageError } from '@spillway/command-line'
import { expect, test } from 'vitest'
import { readArguments } from './arguments.ts'

test('without arguments all is run, three seeds of 20 windows, and written', () => {
  expect(readArguments([])).toEqual({
    ...{ rows: [], algorithms: [], variants: [], seeds: 3, windows: 20 },
    ...{ jobs: availableParallelism() },
    ...{ partial: false, save: false, help: false },
  })
  expect(readArguments(['--jobs', '4'])).toMatchObject({ jobs: 4, partial: false })
})

test('what is asked for is run, and nothing written', () => {
  const args = [
    '--row',
    '2',
    '--row=flash-6',
    '--algorithm',
    'sliding-log',
    '--variant',
    'leased',
    '--seeds',
    '1',
  ]
  expect(readArguments(args)).toMatchObject({
    ...{ rows: ['2', 'flash-6'], algorithms: ['sliding-log'], variants: ['leased'], seeds: 1 },
    ...{ partial: true },
  })
  expect(readArguments(['--row', '2', '--save'])).toMatchObject({ partial: true, save: true })
  expect(readArguments(['--quick'])).toMatchObject({ seeds: 1, windows: 6, partial: true })
  expect(readArguments(['--quick', '--seeds', '2'])).toMatchObject({ seeds: 2, windows: 6 })
})

test.each([
  [['--row', '9'], '--row takes 1, 2, 3, 4, 5, 6, 7, 8, load-0.7-2, load-0.7-5, load-0.9-2'],
  [['--variant', 'fast'], "not 'fast'"],
  [['--algorithm', 'gcra'], 'sliding-window'],
  [['--seeds', '0'], '--seeds takes a whole number from 1'],
  [['--windows', '1'], '--windows takes a whole number from 2'],
  [['--jobs', '1.5'], '--jobs'],
  [['--speed'], "Unknown option '--speed' (--help"],
  [['row'], 'row'],
])('%j is refused: %s', (args, complaint) => {
  expect(() => readArguments(args)).toThrow(UsageError)
  expect(() => readArguments(args)).toThrow(complaint)
})
