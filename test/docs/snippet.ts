import { visit } from 'unist-util-visit'
import { parse } from './markdown.ts'

/** A `ts` block of the documentation, with the block it goes on from, if it does. */
export interface Snippet {
  /** `FILE:LINE` of the block's first line of code. */
  readonly place: string
  readonly path: string
  /** The line in the file where `code` begins: of a block that goes on, where the one before it does. */
  readonly line: number
  readonly code: string
  /** Whether it is run; ```` ```ts no-run ```` blocks only have to typecheck. */
  readonly runs: boolean
  /** Whether it is a ```` ```ts goes-on ```` block: its program is the `ts` block before it, then its own lines. */
  readonly goesOn: boolean
}

/** The `ts` blocks of a Markdown file or of a source file's doc comments. */
export function snippetsOf(path: string): Snippet[] {
  const snippets: Snippet[] = []
  visit(parse(path), 'code', (node) => {
    if (node.lang !== 'ts') return
    const first = node.position!.start.line + 1
    const place = `${path}:${first}`
    const runs = node.meta?.includes('no-run') !== true
    const goesOn = node.meta?.includes('goes-on') === true
    if (!goesOn) {
      snippets.push({ place, path, line: first, code: node.value, runs, goesOn })
      return
    }
    const before = snippets.at(-1)
    if (before === undefined) throw new Error(`${place} goes on from no block`)
    // Blank lines for the text between the two, so that each line of code keeps its distance from the first.
    const { line } = before
    const between = '\n'.repeat(first - line - before.code.split('\n').length + 1)
    snippets.push({ place, path, line, code: before.code + between + node.value, runs, goesOn })
  })
  return snippets
}
