import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { Journal } from './job.ts'

/** A node writes its journal some hundred times a second at most, and in less than a millisecond. */
const MOST_TRIES = 100

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

/** The last state of a journal, read again if it was just being written. */
export function readJournal(path: string): Journal {
  for (let tries = 1; ; tries++) {
    const text = readFileSync(path, 'utf8')
    try {
      return JSON.parse(text.slice(0, text.indexOf('\n')))
    } catch (error) {
      if (tries === MOST_TRIES) throw error
    }
  }
}
