import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UsageError } from '@spillway/command-line'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseLine, readAccessLog } from './access-log.ts'

const line = (client: string, time: string, agent = '"curl"') =>
  `${client} - - [${time}] "GET / HTTP/1.1" 200 12 "-" ${agent}`

describe('parseLine', () => {
  it('reads the client and the time, in its zone', () => {
    const noon = Date.UTC(2015, 4, 17, 12, 0, 0) / 1000
    expect(parseLine(line('10.0.0.1', '17/May/2015:12:00:00 +0000'))).toEqual({
      at: noon,
      client: '10.0.0.1',
    })
    expect(parseLine(line('2001:db8::1', '17/May/2015:14:30:00 +0230'))).toEqual({
      at: noon,
      client: '2001:db8::1',
    })
  })

  it('reads users, escaped quotes, absent sizes and odd requests', () => {
    const odd = 'host.test ident user name [17/May/2015:12:00:00 +0000] "-" 408 - "a \\" b" "c \\\\"'
    expect(parseLine(odd)?.client).toBe('host.test')
    expect(parseLine(`${odd}\r`)?.client).toBe('host.test')
  })

  it.each([
    ['nothing', ''],
    ['a sentence', 'this is not a log'],
    ['a line cut off', line('10.0.0.1', '17/May/2015:12:00:00 +0000', '"Mozilla/5.0 (compat')],
    ['the common format', '10.0.0.1 - - [17/May/2015:12:00:00 +0000] "GET / HTTP/1.1" 200 12'],
    ['no such month', line('10.0.0.1', '17/Mai/2015:12:00:00 +0000')],
    ['no such hour', line('10.0.0.1', '17/May/2015:25:00:00 +0000')],
    ['a host longer than a key may be', line('a'.repeat(2000), '17/May/2015:12:00:00 +0000')],
  ])('does not parse %s', (_, text) => {
    expect(parseLine(text)).toBeUndefined()
  })
})

describe('readAccessLog', () => {
  let folder: string
  const file = async (text: string | Buffer) => {
    const path = join(folder, 'some.log')
    await writeFile(path, text)
    return path
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'spillway-demo-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  it('puts requests in order of time and counts what does not parse', async () => {
    const path = await file(
      [
        line('c', '17/May/2015:12:00:09 +0000'),
        'garbage',
        line('a', '17/May/2015:12:00:05 +0000'),
        '',
        line('b', '17/May/2015:12:00:05 +0000'),
        line('d', '17/May/2015:12:00:07 +0000', '"cut of'),
      ].join('\n'),
    )
    expect(await readAccessLog(path)).toEqual({
      source: path,
      requests: [
        { at: 0, client: 'a' },
        { at: 0, client: 'b' },
        { at: 4, client: 'c' },
      ],
      skipped: 3,
      cutShort: false,
    })
  })

  it('replays the beginning of a log that is too long for a replay', async () => {
    const path = await file(`${line('a', '17/May/2015:12:00:09 +0000')}\n`.repeat(20_001))
    const { requests, cutShort } = await readAccessLog(path)
    expect([requests.length, cutShort]).toEqual([20_000, true])
  })

  it.each([
    ['an empty file', ''],
    ['text', 'one\ntwo\n'],
    ['binary data without line ends', Buffer.alloc(300_000)],
  ])('refuses %s', async (_, content) => {
    await expect(readAccessLog(await file(content))).rejects.toThrow(UsageError)
  })

  it('refuses what cannot be read', async () => {
    await expect(readAccessLog(join(folder, 'missing.log'))).rejects.toThrow(/^cannot read .*ENOENT/)
    await expect(readAccessLog(folder)).rejects.toThrow(/^cannot read .*EISDIR/)
  })
})
