import type { Fault, Stage } from '../fault.ts'
import type { NetworkFault } from '../network.ts'

const OUTAGE = 3000

function broken(fault: NetworkFault) {
  return async ({ network, wait }: Stage) => {
    await network.break(fault)
    await wait(OUTAGE)
    await network.mend()
  }
}

export const networkFaults: readonly Fault[] = [
  {
    name: 'refused',
    title: 'Connections are reset and refused',
    ...{ keeps: true, outage: 'away' },
    run: broken({ kind: 'refuse' }),
  },
  {
    name: 'black-hole',
    title: 'Nothing gets through for 3 s, then all of it, late',
    ...{ keeps: true, outage: 'away' },
    run: broken({ kind: 'hole' }),
  },
  {
    name: 'half-open',
    title: 'The other side of every connection vanishes for good; new connections work',
    ...{ keeps: true, outage: 'away' },
    run: broken({ kind: 'half-open' }),
  },
  {
    name: 'reset-in-reply',
    title: 'The connection is reset in the middle of one reply in 20',
    ...{ keeps: true, outage: 'flaky' },
    run: broken({ kind: 'reset-in-reply', every: 20 }),
  },
  {
    name: 'reply-lost',
    title: 'The command is applied, and its reply lost with the connection: one in 20',
    ...{ keeps: true, outage: 'flaky' },
    run: broken({ kind: 'lose-reply', every: 20 }),
  },
  {
    name: 'replies-late',
    title: 'Every reply comes after its timeout',
    ...{ keeps: true, outage: 'away' },
    run: broken({ kind: 'delay', ms: 400 }),
  },
  {
    name: 'bytewise',
    title: 'Replies come one byte at a time',
    ...{ keeps: true, outage: 'flaky' },
    run: broken({ kind: 'bytewise' }),
  },
]
