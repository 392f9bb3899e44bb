import type { Fault } from '../fault.ts'

/** Longer than a timeout by far, so that outages are noticed. */
const OUTAGE = 3000

export const serverFaults: readonly Fault[] = [
  {
    name: 'server-killed',
    title: 'The server is killed, and starts again with its data',
    ...{ keeps: true, outage: 'away' },
    async run({ server, wait }) {
      await server.kill()
      await wait(OUTAGE)
      await server.restart('kept')
    },
  },
  {
    name: 'server-killed-empty',
    title: 'The server is killed, and starts again empty',
    ...{ keeps: false, outage: 'away' },
    async run({ server, wait }) {
      await server.kill()
      await wait(OUTAGE)
      await server.restart('lost')
    },
  },
  {
    name: 'server-stopped',
    title: 'The server hangs for 5 s (SIGSTOP)',
    ...{ keeps: true, outage: 'away' },
    async run({ server, wait }) {
      server.hang()
      await wait(5000)
      server.goOn()
    },
  },
  {
    name: 'flushall',
    title: 'FLUSHALL',
    ...{ keeps: false, outage: 'none' },
    async run({ server, wait }) {
      await server.admin.flushall()
      await wait(1000)
    },
  },
  {
    name: 'script-flush',
    title: 'SCRIPT FLUSH',
    ...{ keeps: true, outage: 'none' },
    async run({ server, wait }) {
      for (let time = 0; time < 3; time++) {
        await server.admin.script('FLUSH')
        await wait(500)
      }
    },
  },
  {
    name: 'client-pause',
    title: 'CLIENT PAUSE for 3 s',
    ...{ keeps: true, outage: 'away' },
    async run({ server, wait }) {
      await server.admin.call('CLIENT', 'PAUSE', OUTAGE, 'ALL')
      await wait(OUTAGE)
    },
  },
  {
    name: 'memory-full',
    title: '`maxmemory` reached, without eviction',
    ...{ keeps: true, outage: 'away' },
    serverArgs: ['--maxmemory-policy', 'noeviction'],
    async run({ server, wait }) {
      await server.admin.config('SET', 'maxmemory', '1')
      await wait(OUTAGE)
      await server.admin.config('SET', 'maxmemory', '0')
    },
  },
  {
    name: 'memory-evicts',
    title: '`maxmemory` reached, and all keys are evicted',
    ...{ keeps: false, outage: 'flaky' },
    serverArgs: ['--maxmemory-policy', 'allkeys-random'],
    async run({ server, wait }) {
      // Less than the server itself needs, so that every command evicts what it can.
      await server.admin.config('SET', 'maxmemory', '1')
      await wait(1000)
      await server.admin.config('SET', 'maxmemory', '0')
      await wait(500)
    },
  },
  {
    name: 'read-only',
    title: 'The server becomes a read-only replica',
    ...{ keeps: true, outage: 'away' },
    async run({ server, wait }) {
      // The primary does not exist, so that the replica keeps its data.
      await server.admin.call('REPLICAOF', '127.0.0.1', '1')
      await wait(OUTAGE)
      await server.admin.call('REPLICAOF', 'NO', 'ONE')
    },
  },
  {
    name: 'slow-scripts',
    title: 'Other scripts keep the server busy for 150 ms at a time',
    ...{ keeps: true, outage: 'flaky' },
    async run({ server }) {
      const busy = `local t = redis.call('TIME') local till = t[1] * 1000 + t[2] / 1000 + 150
        repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > till`
      for (let time = 0; time < 15; time++) {
        await server.admin.eval(busy, 0)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
  },
  {
    name: 'wrong-password',
    title: 'The password is changed, and every connection is cut',
    ...{ keeps: true, outage: 'away' },
    async run({ server, wait }) {
      await server.admin.config('SET', 'requirepass', 'changed')
      await server.admin.call('AUTH', 'changed')
      await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await wait(OUTAGE)
      await server.admin.config('SET', 'requirepass', '')
    },
  },
  {
    name: 'key-overwritten',
    title: "Keys of Spillway's are overwritten by strings, for 3 s",
    ...{ keeps: false, outage: 'away' },
    async run({ server, limiters, wait }) {
      for (const name of limiters) await server.admin.set(`spillway:1:{${name}}:meta`, 'overwritten')
      await wait(OUTAGE)
      for (const name of limiters) await server.admin.del(`spillway:1:{${name}}:meta`)
    },
  },
]
