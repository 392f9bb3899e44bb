/** `npm run mutants`: each bug of the list, put into the core, must be found by the histories. Exit code 1: one was not. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from '../repository.ts'
import { type Mutant, mutants } from './mutants.ts'

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } })

/** Runs a file of histories, up to its first failure. */
function run(
  { caughtBy, algorithm }: Pick<Mutant, 'caughtBy' | 'algorithm'>,
  mutant?: Mutant,
): { passed: boolean; output: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      join(ROOT, 'node_modules/vitest/vitest.mjs'),
      ...['run', '--config', join(ROOT, 'test/mutants/vitest.config.ts'), '--bail', '1'],
      `packages/core/test/histories/${caughtBy}.test.ts`,
      ...['-t', `: ${algorithm}$`],
    ],
    {
      cwd: ROOT,
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '1', SPILLWAY_MUTANT: mutant?.name ?? '' },
    },
  )
  return { passed: status === 0, output: `${stdout}${stderr}` }
}

/** What a property said against the mutant: a failure of any other kind finds nothing. */
function finding(output: string): string | undefined {
  const test = /^ FAIL .* > (.*)$/m.exec(output)?.[1]
  const broken = /Broken: (.*)$/m.exec(output)?.[1]
  const cases = /Property failed after (\d+) tests/.exec(output)?.[1]
  return test && broken && `${test}, history ${cases}: ${broken}`
}

const chosen = mutants.filter(({ name }) => name.includes(values.only))
if (chosen.length === 0) {
  const names = mutants.map(({ name }) => `\n  ${name}`).join('')
  console.error(`spillway mutants: --only '${values.only}' is in no mutant's name: there are${names}`)
  process.exit(2)
}
let missed = 0
const asked = new Map(chosen.map((mutant) => [`${mutant.caughtBy}, ${mutant.algorithm}`, mutant]))
for (const [what, mutant] of asked) {
  const { passed, output } = run(mutant)
  console.log(`${passed ? 'passes' : 'FAILS '}  ${what}: without a mutant`)
  if (!passed) {
    console.log(output)
    process.exit(1)
  }
}
for (const mutant of chosen) {
  const { passed, output } = run(mutant, mutant)
  const found = finding(output)
  if (found === undefined) missed++
  console.log(
    `${found === undefined ? 'MISSED' : 'caught'}  ${mutant.name}${found ? `\n        ${found}` : ''}`,
  )
  if (found === undefined && !passed) console.log(output)
}
console.log(`${chosen.length - missed} of ${chosen.length} mutants caught`)
process.exitCode = missed > 0 ? 1 : 0
