import { fork } from 'node:child_process'
import { once } from 'node:events'
import { watchOver } from '@spillway/redis-server'
import type { HeavyLoad } from '../node/heavy-loads.ts'
import type { Figures } from '../node/meter.ts'
import type { Program } from '../program.ts'

type Message = { ask: string } | { figures: Figures } | { error: string }

/** Carries a heavy load out in a process of its own. */
export async function carryOut(
  program: Program,
  load: string,
  options: HeavyLoad,
  asked: (what: string) => Promise<void>,
): Promise<Figures> {
  const child = fork(program.file.replace(/main\.(ts|js)$/, 'heavy-main.$1'), {
    execArgv: [...program.flags],
    stdio: ['ignore', 2, 2, 'ipc'],
  })
  const watchdog = watchOver(child.pid as number, undefined)
  const exited = once(child, 'exit')
  try {
    return await new Promise((resolve, reject) => {
      child.on('message', (message: Message) => {
        if ('figures' in message) resolve(message.figures)
        else if ('error' in message) reject(new Error(message.error))
        else asked(message.ask).then(() => child.send('done'), reject)
      })
      child.once('exit', (code, signal) =>
        reject(new Error(`the process ended: ${signal ?? `exit code ${code}`}`)),
      )
      child.send({ load, options })
    })
  } finally {
    child.kill('SIGKILL')
    await exited
    watchdog.kill('SIGKILL')
  }
}
