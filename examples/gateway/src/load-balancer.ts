import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort, watchOver } from '@spillway/redis-server'
import { findNginx } from './find-nginx.ts'

export interface LoadBalancer {
  readonly url: string
  close(): Promise<void>
}

const READY_WITHIN_MS = 10_000

/**
 * Starts an nginx of our own, in a folder of its own, that spreads requests over the servers on these loopback ports.
 */
export async function startLoadBalancer(ports: readonly number[]): Promise<LoadBalancer> {
  const binary = await findNginx()
  const folder = await mkdtemp(join(tmpdir(), 'spillway-gateway-'))
  const port = await freePort()
  await writeFile(join(folder, 'nginx.conf'), configuration(port, ports))
  const child = spawn(binary, ['-p', folder, '-c', 'nginx.conf', '-e', 'error.log'], { stdio: 'ignore' })
  const exited = once(child, 'exit')
  // Ends nginx too if this process is killed.
  const watchdog = watchOver(child.pid!, folder)
  const close = async () => {
    child.kill('SIGTERM')
    await exited
    watchdog.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await listening(port, child)
  } catch (cause) {
    const log = await readFile(join(folder, 'error.log'), 'utf8').catch(() => '')
    await close()
    throw new Error(`nginx did not start on port ${port}: ${log}`, { cause })
  }
  return { url: `http://127.0.0.1:${port}`, close }
}

async function listening(port: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const reached = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (reached) return
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`)
    if (performance.now() > deadline) throw new Error(`nothing listens after ${READY_WITHIN_MS} ms`)
    await delay(10)
  }
}

/**
 * A request whose gateway dies before it answers goes to the next one. Each gateway gets the client's address as the
 * last entry of X-Forwarded-For, after whatever the client itself wrote there.
 */
function configuration(port: number, gateways: readonly number[]): string {
  const servers = gateways.map((gateway) => `    server 127.0.0.1:${gateway} max_fails=1 fail_timeout=1s;`)
  return `
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path temporary-bodies;
  proxy_temp_path temporary-proxy;
  fastcgi_temp_path temporary-fastcgi;
  uwsgi_temp_path temporary-uwsgi;
  scgi_temp_path temporary-scgi;
  upstream gateways {
${servers.join('\n')}
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://gateways;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_next_upstream error timeout;
    }
  }
}
`
}
