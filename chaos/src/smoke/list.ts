import type { Scene } from '../fault.ts'
import type { NodeProcess } from '../node-process.ts'
import type { World } from './world.ts'

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Ten things that every server, client and Node must live through. The last costs the server. */
export function smokeList(world: World): Scene[] {
  return scenes(world).map((scene) => ({ ...scene, reconnects: true }))
}

function scenes(world: World): Scene[] {
  const each = async (act: (admin: Awaited<ReturnType<World['primaries']>>[0]) => Promise<unknown>) => {
    await Promise.all((await world.primaries()).map(act))
  }
  const busy = `local t = redis.call('TIME') local till = t[1] * 1000 + t[2] / 1000 + 300
    repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > till`
  return [
    {
      ...{ name: 'steady', title: 'Nothing breaks', keeps: true, outage: 'none' },
      run: () => wait(400),
    },
    {
      ...{ name: 'script-flush', title: 'SCRIPT FLUSH', keeps: true, outage: 'none' },
      async run() {
        await each((admin) => admin.script('FLUSH'))
        await wait(300)
      },
    },
    {
      ...{ name: 'cut', title: 'All connections are cut', keeps: true, outage: 'flaky' },
      async run() {
        await each((admin) => admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'))
        await wait(300)
      },
    },
    {
      ...{ name: 'pause', title: 'CLIENT PAUSE for 600 ms', keeps: true, outage: 'flaky' },
      async run() {
        await each((admin) => admin.call('CLIENT', 'PAUSE', 600, 'ALL'))
        await wait(600)
      },
    },
    {
      ...{ name: 'stopped', title: 'The server hangs for 700 ms', keeps: true, outage: 'flaky' },
      run: () => world.hang(700),
    },
    {
      ...{ name: 'flushall', title: 'FLUSHALL', keeps: false, outage: 'none' },
      async run() {
        await each((admin) => admin.flushall())
        await wait(500)
      },
    },
    {
      ...{ name: 'slow-script', title: 'A script keeps the server for 300 ms', keeps: true, outage: 'flaky' },
      async run() {
        await each((admin) => admin.eval(busy, 0))
      },
    },
    {
      ...{ name: 'clock-jump', title: 'A wall clock jumps an hour ahead', keeps: true, outage: 'none' },
      async run({ nodes }) {
        await (nodes[0] as NodeProcess).jump(3_600_000)
        await wait(400)
      },
    },
    {
      ...{ name: 'blocked', title: 'An event loop is blocked for 500 ms', keeps: true, outage: 'flaky' },
      run: ({ nodes }) => (nodes[0] as NodeProcess).block(500),
    },
    {
      ...{ name: 'primary-killed', title: 'A server that takes writes is killed', outage: 'flaky' },
      keeps: world.losesNothing,
      run: () => world.loseOne(),
    },
  ]
}
