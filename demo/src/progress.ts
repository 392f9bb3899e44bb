import type { Mode } from './replay.ts'

const width = 30

/**
 * Shows on stderr how far the replay of a mode is. On a terminal the line is redrawn; elsewhere, as in a
 * log file, a line is written for each quarter.
 */
export class Progress {
  readonly #mode: Mode
  readonly #total: number
  #served = 0
  #shown = ''

  constructor(mode: Mode, total: number) {
    this.#mode = mode
    this.#total = total
    this.#show()
  }

  serve(requests: number): void {
    this.#served += requests
    this.#show()
  }

  #show(): void {
    const share = this.#served / this.#total
    const line = process.stderr.isTTY ? this.#bar(share) : this.#quarter(share)
    if (line === this.#shown) return
    this.#shown = line
    process.stderr.write(line)
  }

  #bar(share: number): string {
    const full = Math.floor(share * width)
    const bar = '█'.repeat(full) + '░'.repeat(width - full)
    return `\r${this.#mode} ${bar} ${this.#served} of ${this.#total} requests${share === 1 ? '\n' : ''}`
  }

  #quarter(share: number): string {
    return `${this.#mode}: ${Math.floor(share * 4) * 25} %\n`
  }
}
