/**
 * h2load, for requests over HTTP/2, and for full handshakes: batches in which every connection carries exactly one
 * request.
 *
 * Neither wrk nor h2load can be used with `Connection: close` here: both keep the session of the connection that was
 * closed and resume it (nginx reports `$ssl_session_reused` for all but the first). A batch of N clients with one
 * request each has nothing to resume; `provesFullHandshakes` checks that against the backend's own log.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
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

export type StreamsRun = HandshakeRun & {
  /** Of each connection at once */
  readonly streams: number
  /** A message in each request, with the fields of a gRPC call */
  readonly grpc: boolean
  readonly folder: string
}

export type StreamsResult = HandshakeResult & {
  readonly p50Us: number
  readonly p99Us: number
  readonly remark: string | undefined
}

/** nginx fails about one gRPC call in ten thousand whose backend answers before it has read the message. */
const toleratedShare = 0.001

/** As many requests as the proxy answers, over HTTP/2 connections that stay open. */
export async function runStreams(load: StreamsRun): Promise<StreamsResult> {
  const { core, url, seconds, connections, streams, grpc, folder, env } = load
  const message = path.join(folder, 'message.grpc')
  const fields = ['-H', 'content-type: application/grpc', '-H', 'te: trailers', '-d', message]
  if (grpc) writeFileSync(message, Buffer.concat([Buffer.from([0, 0, 0, 0, 60]), Buffer.alloc(60, 'sallyport ')]))
  const log = path.join(folder, 'streams.log')
  rmSync(log, { force: true })
  const command = [
    'h2load',
    '--tls13-ciphers=TLS_AES_128_GCM_SHA256',
    '-t1',
    `-D${seconds}`,
    `-c${connections}`,
    `-m${streams}`,
    `--log-file=${log}`,
    ...(grpc ? fields : []),
    url,
  ]
  const { status, stdout, stderr } = await run({ core, command, env })
  const count = (words: RegExp) => Number(words.exec(stdout)?.[1] ?? 0)
  const good = count(/status codes: (\d+) 2xx/)
  const failed = count(/ (\d+) failed/)
  const problems: string[] = []
  if (status !== 0 || good === 0)
    problems.push(`h2load (exit ${status}): ${(stderr || stdout).trim().slice(0, 500)}`)
  if (failed > good * toleratedShare) problems.push(`h2load: ${failed} requests failed`)
  // Start in microseconds since 1970, status, microseconds that it took.
  const times = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []
  const took = times.map(line => Number(line.split('\t')[2])).sort((a, b) => a - b)
  const at = (share: number) => took[Math.floor(share * (took.length - 1))] ?? 0
  const remark = failed > 0 ? `${failed} requests failed` : undefined
  return { requests: good, seconds, p50Us: at(0.5), p99Us: at(0.99), remark, problems }
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
