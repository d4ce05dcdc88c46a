/**
 * h2load for full handshakes: batches in which every connection carries exactly one request.
 *
 * Neither wrk nor h2load can be used with `Connection: close` here: both keep the session of the connection that was
 * closed and resume it (nginx reports `$ssl_session_reused` for all but the first). A batch of N clients with one
 * request each has nothing to resume; `provesFullHandshakes` checks that against the backend's own log.
 */
import { existsSync, readFileSync } from 'node:fs'
import { run } from './processes.ts'

export type HandshakeRun = {
  readonly core: number
  readonly url: string
  readonly seconds: number
  /** At once */
  readonly connections: number
  readonly env: Record<string, string>
}

export type HandshakeResult = {
  readonly requests: number
  readonly seconds: number
  readonly problems: readonly string[]
}

export async function runHandshakes({
  core,
  url,
  seconds,
  connections,
  env,
}: HandshakeRun): Promise<HandshakeResult> {
  const began = performance.now()
  const command = [
    'h2load',
    '--h1',
    '--tls13-ciphers=TLS_AES_128_GCM_SHA256',
    '-t1',
    `-n${connections}`,
    `-c${connections}`,
    url,
  ]
  let requests = 0
  do {
    const { status, stdout, stderr } = await run({ core, command, env })
    const good = Number(/(\d+) succeeded/.exec(stdout)?.[1] ?? 0)
    const ok = Number(/status codes: (\d+) 2xx/.exec(stdout)?.[1] ?? 0)
    if (status !== 0 || good !== connections || ok !== connections) {
      const said = /^(?:requests|status codes):.*$/gm
      const problem = `h2load (exit ${status}): ${stdout.match(said)?.join('; ') ?? stderr.trim()}`
      return { requests, seconds: (performance.now() - began) / 1000, problems: [problem] }
    }
    requests += good
  } while (performance.now() - began < seconds * 1000)
  return { requests, seconds: (performance.now() - began) / 1000, problems: [] }
}

/** Throws if this h2load resumes sessions or reuses connections. `url` must be the backend's TLS port. */
export async function provesFullHandshakes(load: Omit<HandshakeRun, 'seconds'>, resumedLog: string): Promise<void> {
  const { requests, problems } = await runHandshakes({ ...load, seconds: 0 })
  if (problems.length > 0) throw new Error(problems.join('; '))
  const lines = existsSync(resumedLog) ? readFileSync(resumedLog, 'utf8').trim().split('\n') : []
  const connections = new Set(lines.map(line => line.split(' ')[0]))
  const resumed = lines.filter(line => !line.endsWith(' .')).length
  if (resumed > 0 || connections.size !== requests) {
    throw new Error(
      `h2load does not make full handshakes: ${requests} requests, ${connections.size} connections, ${resumed} resumed`,
    )
  }
}
