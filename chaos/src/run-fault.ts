import { setTimeout as delay } from 'node:timers/promises'
import type { Cast, Fault } from './fault.ts'
import { Network } from './network.ts'
import type { Target, Track } from './node/job.ts'
import type { Program } from './program.ts'
import { Server } from './server.ts'
import { type Evidence, underLoad } from './under-load.ts'

/** Breaks a Redis, its network or its nodes. */
export async function runFault(fault: Fault, tracks: readonly Track[], program: Program): Promise<Evidence> {
  const server = await Server.start(fault.serverArgs && { args: fault.serverArgs })
  const network = await Network.start(server.port)
  try {
    const scene = {
      ...fault,
      run: (cast: Cast) => fault.run({ ...cast, server, network, wait: delay }),
    }
    return await underLoad(scene, tracks, { program, target: on(network.port), direct: on(server.port) })
  } finally {
    await network.close()
    await server.stop()
  }
}

function on(port: number): Target {
  return { how: 'redis', client: 'ioredis', addresses: [{ host: '127.0.0.1', port }] }
}
