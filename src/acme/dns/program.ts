/** TXT records by a program: `PROGRAM set|unset FQDN VALUE`, without a shell; exit code 0 is success. */
import { spawn } from 'node:child_process'
import { formatDuration } from '../../base/units.ts'
import { excerpt } from '../problem.ts'
import type { DnsProvider } from './provider.ts'

type ProgramOptions = { readonly file: string; readonly timeoutMs: number }

/** Of what it prints; the rest is read and dropped, so that it never waits for us. */
const maxPrinted = 2_000

export function programProvider({ file, timeoutMs }: ProgramOptions): DnsProvider {
  const run = (action: 'set' | 'unset', fqdn: string, value: string, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      // A group of its own: what it has started ends with it.
      const child = spawn(file, [action, fqdn, value], { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
      let printed = ''
      let settled = false
      const settle = (why: string | null) => {
        if (settled) return
        settled = true
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
        const said = excerpt(printed, 500)
        if (why === null) resolve()
        else reject(new Error(`${file} ${action} ${fqdn}: ${why}${said && `: ${said}`}`))
      }
      const kill = (why: string) => {
        if (!settled && child.pid !== undefined) {
          try {
            process.kill(-child.pid, 'SIGKILL')
          } catch {
            // Gone already.
          }
        }
        settle(why)
      }
      const onAbort = () => kill('cancelled')
      const timer = setTimeout(() => kill(`not done within ${formatDuration(timeoutMs)}`), timeoutMs)
      signal.addEventListener('abort', onAbort, { once: true })
      child.stderr.setEncoding('utf8')
      child.stderr.on('data', (text: string) => {
        if (printed.length < maxPrinted) printed += text.slice(0, maxPrinted)
      })
      child.on('error', error => settle((error as NodeJS.ErrnoException).code ?? 'cannot be run'))
      child.on('close', (code, by) => settle(code === 0 ? null : by ? `ended by ${by}` : `exit code ${code}`))
      if (signal.aborted) onAbort()
    })
  return {
    name: `program ${file}`,
    set: (fqdn, value, signal) => run('set', fqdn, value, signal),
    unset: (fqdn, value, signal) => run('unset', fqdn, value, signal),
  }
}
