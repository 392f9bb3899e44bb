import { UsageError } from '@spillway/command-line'
import { describe, expect, it } from 'vitest'
import { readArguments } from './arguments.ts'

describe('readArguments', () => {
  it('has defaults for everything', () => {
    expect(readArguments([])).toEqual({
      log: undefined,
      redis: undefined,
      memory: false,
      nodes: 4,
      seed: 1,
      seconds: 4,
      json: false,
      help: false,
    })
  })

  it('reads every option', () => {
    const args = ['--log=a.log', '--redis', 'rediss://user:pass@example.test:6380/1', '--nodes', '16']
    expect(readArguments([...args, '--seed=0', '--seconds', '0.5', '--json', '-h'])).toEqual({
      log: 'a.log',
      redis: 'rediss://user:pass@example.test:6380/1',
      memory: false,
      nodes: 16,
      seed: 0,
      seconds: 0.5,
      json: true,
      help: true,
    })
  })

  it.each([
    [['--unknown'], /--unknown/],
    [['stray.log'], /stray\.log/],
    [['--log'], /--log/],
    [['--log', '--json'], /--log/],
    [['--json=yes'], /--json/],
    [['--nodes', '0'], /--nodes takes a whole number from 1 to 16, not '0'/],
    [['--nodes', '17'], /--nodes/],
    [['--nodes', '2.5'], /--nodes/],
    [['--nodes', '0x4'], /--nodes/],
    [['--nodes='], /--nodes/],
    [['--seed=-1'], /--seed/],
    [['--seed', 'abc'], /--seed/],
    [['--seconds', '11'], /--seconds/],
    [['--seconds', '0'], /--seconds/],
    [['--redis', 'http://127.0.0.1:6379'], /--redis takes a URL/],
    [['--redis', '127.0.0.1:6379'], /--redis takes a URL/],
    [['--redis', 'redis://'], /--redis takes a URL/],
    [['--redis', 'redis://127.0.0.1:99999'], /--redis takes a URL/],
    [['--redis='], /--redis takes a URL/],
    [['--memory', '--redis', 'redis://127.0.0.1'], /--redis and --memory/],
  ])('refuses %j in one line', (args, complaint) => {
    const read = () => readArguments(args)
    expect(read).toThrow(UsageError)
    expect(read).toThrow(complaint)
    expect(read).not.toThrow(/\n/)
  })
})
