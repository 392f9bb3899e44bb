import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from '../repository.ts'
import { mutants, mutate } from './mutants.ts'

test.each(mutants)('there is a place for the mutant: $name', (mutant) => {
  const source = readFileSync(join(ROOT, mutant.file), 'utf8')
  expect(mutate(source, mutant)).not.toBe(source)
})
