import * as core from '@spillway/core'
import * as redis from '@spillway/core/redis'
import type { Snippet } from './snippet.ts'

const ENTRIES = { '@spillway/core': core, '@spillway/core/redis': redis }

/**
 * The program a snippet stands for. Its code starts on line 2, whatever is put before it.
 *
 * Outside README.md, a block that imports nothing is a fragment, as doc comments use them: it gets the
 * imports of what it names, and a `limiter` where it uses one without making it.
 */
export function programOf({ path, code }: Snippet): string {
  const isFragment = path !== 'README.md' && !/^\s*import\b/m.test(code)
  return `${isFragment ? prelude(code) : ''}\n${code}\nexport {}\n`
}

function prelude(code: string): string {
  const limiter =
    names(code, 'limiter') && !/\b(const|let|using) limiter\b/.test(code)
      ? `const limiter = createLimiter({ name: 'docs', limit: fixedWindow({ limit: 1000, window: '1m' }) });`
      : ''
  const imports = Object.entries(ENTRIES).map(([entry, exported]) => {
    const used = Object.keys(exported).filter((name) => names(code + limiter, name))
    return used.length > 0 ? `import { ${used.join(', ')} } from '${entry}';` : ''
  })
  return imports.join('') + limiter
}

function names(code: string, name: string): boolean {
  return new RegExp(`(?<![.\\w'"])${name}\\b`).test(code)
}
