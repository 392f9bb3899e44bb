import { visit } from 'unist-util-visit'
import { parse } from './markdown.ts'

/** A `ts` block of the documentation. */
export interface Snippet {
  /** `FILE:LINE` of its first line of code. */
  readonly place: string
  readonly path: string
  readonly line: number
  readonly code: string
  /** Whether it is run; ```` ```ts no-run ```` blocks only have to typecheck. */
  readonly runs: boolean
}

/** The `ts` blocks of a Markdown file or of a source file's doc comments. */
export function snippetsOf(path: string): Snippet[] {
  const snippets: Snippet[] = []
  visit(parse(path), 'code', (node) => {
    if (node.lang !== 'ts') return
    const line = node.position!.start.line + 1
    const runs = node.meta?.includes('no-run') !== true
    snippets.push({ place: `${path}:${line}`, path, line, code: node.value, runs })
  })
  return snippets
}
