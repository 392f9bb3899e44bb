import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { Journal } from './job.ts'

/** A node's journal on disk, rewritten in place: what was written survives the writer's SIGKILL. */
export class JournalFile {
  private readonly file: number

  constructor(path: string) {
    this.file = openSync(path, 'w')
  }

  write(journal: Journal): void {
    writeSync(this.file, `${JSON.stringify(journal)}\n`, 0)
  }

  close(): void {
    closeSync(this.file)
  }
}

/** The last state of a journal. */
export function readJournal(path: string): Journal {
  const text = readFileSync(path, 'utf8')
  return JSON.parse(text.slice(0, text.indexOf('\n')))
}
