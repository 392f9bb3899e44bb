import type { Question } from './question.ts'
import { allocation } from './questions/allocation.ts'
import { awaited } from './questions/awaited.ts'
import { fleet } from './questions/fleet.ts'
import { growth } from './questions/growth.ts'
import { hard } from './questions/hard.ts'
import { lua } from './questions/lua.ts'
import { openLoop } from './questions/open-loop.ts'
import { ram } from './questions/ram.ts'
import { redisCost } from './questions/redis-cost.ts'
import { settling } from './questions/settling.ts'
import { softSync } from './questions/soft-sync.ts'
import { start } from './questions/start.ts'
import { thousandNodes } from './questions/thousand-nodes.ts'

/** In the order of the tables. */
export const questions: readonly Question[] = [
  softSync,
  awaited,
  allocation,
  growth,
  hard,
  openLoop,
  settling,
  lua,
  start,
  ram,
  redisCost,
  fleet,
  thousandNodes,
]
