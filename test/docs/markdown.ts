import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Root } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { ROOT } from '../repository.ts'

/** Parses a Markdown file, or the doc comments of a TypeScript file, with the file's own line numbers. */
export function parse(path: string): Root {
  const text = readFileSync(join(ROOT, path), 'utf8')
  return fromMarkdown(path.endsWith('.md') ? text : docComments(text))
}

/** Keeps the text of the doc comments and blanks every other line, so that line numbers stay. */
function docComments(source: string): string {
  let inside = false
  const lines = source.split('\n').map((line) => {
    if (/^\s*\/\*\*/.test(line)) inside = true
    const text = inside ? line.replace(/^\s*(\/\*\*|\*(?!\/)) ?/, '').replace(/\s*\*\/.*$/, '') : ''
    if (line.includes('*/')) inside = false
    return text
  })
  return lines.join('\n')
}
