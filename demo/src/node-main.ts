/** A node process: runs a `LocalNode` over Redis, as it is told by the demo that forked it. */
import { redisStore } from '@spillway/core/redis'
import type { Order, Reply } from './messages.ts'
import { LocalNode } from './replay.ts'

let node: LocalNode | undefined

async function obey(order: Order): Promise<Reply> {
  if (order.do === 'prepare') {
    node ??= new LocalNode(redisStore(order.redis))
    await node.prepare(order.job)
    return { did: 'prepare' }
  }
  return { did: 'replay', tallies: await node!.replay((requests) => reply({ did: 'serve', requests })) }
}

function reply(message: Reply): void {
  // Once the demo is gone there is nobody to tell, and 'disconnect' ends this process.
  if (process.connected) process.send!(message)
}

process.on('message', (order: Order) => {
  obey(order).then(reply, (error: Error) => reply({ did: 'fail', message: error.message }))
})
// However the demo ends, its nodes end with it; ctrl-C reaches the whole group, but is the demo's to handle.
process.on('disconnect', () => process.exit())
process.on('SIGINT', () => {})
