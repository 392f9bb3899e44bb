import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT, repositoryFiles } from './repository.ts'

// Import cycles are the linter's to find: `noImportCycles` in biome.json.

test('no file is named after everything and nothing', () => {
  const vague = /^(utils?|helpers?|common|misc|shared|managers?|.*[-_.](utils?|helpers?|manager))\.[^/]+$/i
  const files = repositoryFiles(/\.(ts|mjs|js|lua)$/)
  expect(files.filter((path) => vague.test(basename(path)))).toEqual([])
})

test('nothing in the core but the clock reads the time or sets a timer', () => {
  const time =
    /\bDate\.now\b|\bnew Date\b|\bperformance\.now\b|\bhrtime\b|\bset(Timeout|Interval)\b|node:timers/
  const exempt = /(\/clock\.ts|\/testing\.ts|\.test\.ts)$|\/testing\//
  const offenders = repositoryFiles(/^packages\/core\/src\/.*\.ts$/)
    .filter((path) => !exempt.test(path))
    .flatMap((path) => {
      const lines = withoutComments(readFileSync(join(ROOT, path), 'utf8')).split('\n')
      return lines.flatMap((line, index) => (time.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []))
    })
  expect(offenders).toEqual([])
})

function withoutComments(source: string): string {
  const blank = (comment: string) => comment.replaceAll(/[^\n]/g, '')
  return source.replaceAll(/\/\*[\s\S]*?\*\//g, blank).replaceAll(/(?<![:\w])\/\/.*$/gm, '')
}
