import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate for loopback, and the authority that signed it, as files. */
export interface Certificate extends Disposable {
  /** The authority's certificate, PEM: what clients are to trust. */
  readonly ca: string
  /** What a server needs to speak TLS on a port: arguments for `startRedis`. */
  serverArguments(port: number): string[]
}

/** Makes a certificate with `openssl`, which Debian's Redis comes with. Valid for two days. */
export function makeCertificate(): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-tls-'))
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'rsa:2048', '-nodes']
  const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost'
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-days',
    '2',
    '-subj',
    '/CN=spillway test',
  )
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=127.0.0.1')
  writeFileSync(join(folder, 'names'), names)
  const authority = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial']
  openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    ...authority,
    '-out',
    'server.crt',
    '-days',
    '2',
    '-extfile',
    'names',
  )
  const at = (name: string) => join(folder, name)
  return {
    ca: readFileSync(at('ca.crt'), 'utf8'),
    serverArguments: (port) => [
      ...['--tls-port', String(port), '--tls-auth-clients', 'no'],
      ...[
        '--tls-cert-file',
        at('server.crt'),
        '--tls-key-file',
        at('server.key'),
        '--tls-ca-cert-file',
        at('ca.crt'),
      ],
    ],
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}
