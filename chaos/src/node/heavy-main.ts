import { type HeavyLoad, heavyLoads } from './heavy-loads.ts'

// A process that carries out one load, too heavy to run beside others, and reports its figures.

let answered: (() => void) | undefined
const ask = (what: string) =>
  new Promise<void>((resolve) => {
    answered = resolve
    process.send?.({ ask: what })
  })

process.on('message', (message: { load: string; options: HeavyLoad } | 'done') => {
  if (message === 'done') return answered?.()
  const run = heavyLoads[message.load] as (typeof heavyLoads)['oneKey']
  run(message.options, ask).then(
    (figures) => process.send?.({ figures }),
    (error: Error) => process.send?.({ error: error.stack ?? error.message }),
  )
})
process.on('disconnect', () => process.exit())
