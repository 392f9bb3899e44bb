import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import GithubSlugger from 'github-slugger'
import { toString as textOf } from 'mdast-util-to-string'
import { visit } from 'unist-util-visit'
import { ROOT } from '../repository.ts'
import { parse } from './markdown.ts'

/** The relative links of a Markdown file that lead nowhere, each as `FILE:LINE: TARGET`. */
export function brokenLinks(path: string): string[] {
  const broken: string[] = []
  visit(parse(path), (node) => {
    if (node.type !== 'link' && node.type !== 'image' && node.type !== 'definition') return
    if (/^[a-z][a-z+.-]*:/i.test(node.url)) return
    if (!leadsSomewhere(path, node.url)) broken.push(`${path}:${node.position!.start.line}: ${node.url}`)
  })
  return broken
}

function leadsSomewhere(from: string, url: string): boolean {
  const [file = '', anchor] = decodeURI(url).split('#')
  const target = file === '' ? from : normalize(join(dirname(from), file))
  if (target.startsWith('..') || !existsSync(join(ROOT, target))) return false
  return anchor === undefined || !target.endsWith('.md') || anchorsOf(target).has(anchor)
}

function anchorsOf(path: string): Set<string> {
  const slugger = new GithubSlugger()
  const anchors = new Set<string>()
  visit(parse(path), 'heading', (heading) => {
    anchors.add(slugger.slug(textOf(heading)))
  })
  return anchors
}
