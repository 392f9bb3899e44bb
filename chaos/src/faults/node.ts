import type { Fault } from '../fault.ts'
import type { NodeProcess } from '../node-process.ts'

export const nodeFaults: readonly Fault[] = [
  {
    name: 'node-killed',
    title: 'A node is killed (SIGKILL)',
    ...{ keeps: true, outage: 'none' },
    async run({ nodes, wait }) {
      await (nodes[0] as NodeProcess).kill()
      await wait(1500)
    },
  },
  {
    name: 'node-terminated',
    title: 'A node closes its limiters on SIGTERM',
    ...{ keeps: true, outage: 'none' },
    async run({ nodes, wait }) {
      await (nodes[0] as NodeProcess).terminate()
      await wait(1000)
    },
  },
  {
    name: 'node-blocked',
    title: "A node's event loop is blocked for 3 s",
    ...{ keeps: true, outage: 'none' },
    async run({ nodes, wait }) {
      await (nodes[0] as NodeProcess).block(3000)
      await wait(500)
    },
  },
  {
    name: 'clock-forward',
    title: "A node's wall clock jumps an hour ahead",
    ...{ keeps: true, outage: 'none' },
    async run({ nodes, wait }) {
      await (nodes[0] as NodeProcess).jump(3_600_000)
      await wait(1500)
    },
  },
  {
    name: 'clock-back',
    title: "A node's wall clock jumps an hour back",
    ...{ keeps: true, outage: 'none' },
    async run({ nodes, wait }) {
      await (nodes[0] as NodeProcess).jump(-3_600_000)
      await wait(1500)
    },
  },
  {
    name: 'node-paused',
    title: 'A node is paused for 4 s (SIGSTOP)',
    ...{ keeps: true, outage: 'flaky' },
    async run({ nodes, wait }) {
      const [node] = nodes as [NodeProcess]
      node.signal('SIGSTOP')
      await wait(4000)
      node.signal('SIGCONT')
      await wait(500)
    },
  },
  {
    name: 'ten-at-once',
    title: 'Ten nodes start at once',
    ...{ keeps: true, outage: 'flaky', nodes: 1, share: 0.2 },
    async run({ addNode, wait }) {
      await Promise.all(Array.from({ length: 10 }, () => addNode()))
      await wait(1500)
    },
  },
  {
    name: 'rolling-restart',
    title: 'A rolling restart: every node closes in turn, and another takes its place',
    ...{ keeps: true, outage: 'none' },
    async run({ nodes, addNode, wait }) {
      for (const node of [...nodes]) {
        await addNode()
        await node.terminate()
        await wait(300)
      }
    },
  },
]
