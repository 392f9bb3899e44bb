import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Ends a server and removes its folder once this process is gone, however it went: the pipe to the
 * watchdog closes with the last of us, also after SIGKILL, where no exit handler runs.
 * Kill the watchdog as soon as the server has ended, so that it never signals a reused process id.
 */
export function watchOver(pid: number, folder: string | undefined): ChildProcess {
  const script = 'cat >/dev/null; kill -9 "$1" 2>/dev/null; if [ -n "$2" ]; then rm -rf -- "$2"; fi'
  const watchdog = spawn('/bin/sh', ['-c', script, 'watchdog', String(pid), folder ?? ''], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // A group of its own: Ctrl-C in a terminal must not end the watchdog before it has done its work.
    detached: true,
  })
  watchdog.unref()
  // A child's pipe is a socket, which would otherwise keep this process alive.
  ;(watchdog.stdin as unknown as { unref(): void }).unref()
  watchdog.stdin?.on('error', () => {})
  return watchdog
}
