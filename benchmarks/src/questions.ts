import type { Question } from './question.ts'
import { awaited } from './questions/awaited.ts'
import { hard } from './questions/hard.ts'
import { softSync } from './questions/soft-sync.ts'

/** In the order of the tables. */
export const questions: readonly Question[] = [softSync, awaited, hard]
