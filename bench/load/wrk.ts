/** wrk: as many requests as the proxy answers, over connections that stay open. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { run } from './processes.ts'

export type WrkResult = {
  readonly requests: number
  readonly seconds: number
  readonly p50Us: number
  readonly p99Us: number
  readonly problems: readonly string[]
}

export type WrkRun = {
  readonly core: number
  readonly url: string
  readonly seconds: number
  readonly connections: number
  /** Least bytes of one response, to notice short ones */
  readonly bytes: number
  readonly env: Record<string, string>
  readonly folder: string
  /** Of a body to POST in each request; none, and GET, where it is 0 */
  readonly sendBytes: number
  /** Asks for it, and expects at most a third of the bytes */
  readonly gzip: boolean
}

// wrk's own summary rounds; its Lua hook gives exact numbers.
const summaryScript = `
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d %d %d\\n", summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(99), e.connect, e.read, e.write, e.timeout, e.status))
end
`

export async function runWrk(load: WrkRun): Promise<WrkResult> {
  const { core, url, seconds, connections, bytes, env, folder, sendBytes, gzip } = load
  const script = path.join(folder, 'load.lua')
  const body = sendBytes > 0 ? `wrk.method = "POST"\nwrk.body = string.rep("u", ${sendBytes})\n` : ''
  writeFileSync(script, `${body}${summaryScript}`)
  // wrk takes whole seconds.
  const command = [
    'wrk',
    '-t1',
    `-c${connections}`,
    `-d${Math.ceil(seconds)}s`,
    '--timeout',
    '10s',
    '-s',
    script,
    ...(gzip ? ['-H', 'Accept-Encoding: gzip'] : []),
    url,
  ]
  const { status, stdout, stderr } = await run({ core, command, env })
  const found = /^RESULT (.*)$/m.exec(stdout)
  if (status !== 0 || found === null) {
    const said = (stderr || stdout).trim()
    return { requests: 0, seconds, p50Us: 0, p99Us: 0, problems: [`wrk failed (exit ${status}): ${said}`] }
  }
  const [requests, durationUs, read, p50Us, p99Us, ...errors] = found[1].split(' ').map(Number)
  const problems: string[] = []
  for (const [at, kind] of ['connect', 'read', 'write', 'timeout', 'status'].entries()) {
    if (errors[at] > 0) problems.push(`wrk: ${errors[at]} ${kind} errors`)
  }
  if (requests === 0) problems.push('wrk: no response at all')
  else if (gzip) {
    if (read / requests > bytes / 3)
      problems.push(`wrk: ${Math.round(read / requests)} bytes a response: it is not compressed`)
  } else if (read / requests < bytes) {
    problems.push(`wrk: ${Math.round(read / requests)} bytes a response, ${bytes} expected`)
  }
  return { requests, seconds: durationUs / 1e6, p50Us, p99Us, problems }
}

/** Throws unless wrk uses TLS 1.2 with this environment. `url` must be the backend's TLS port. */
export async function provesTls12(
  load: Pick<WrkRun, 'core' | 'url' | 'connections' | 'env' | 'folder'>,
  resumedLog: string,
): Promise<void> {
  const linesOf = () => (existsSync(resumedLog) ? readFileSync(resumedLog, 'utf8').trim().split('\n') : [])
  const before = linesOf().length
  const { problems } = await runWrk({ ...load, seconds: 1, bytes: 0, sendBytes: 0, gzip: false })
  if (problems.length > 0) throw new Error(problems.join('; '))
  const other = linesOf()
    .slice(before)
    .find(line => !line.includes(' TLSv1.2 '))
  if (other !== undefined) throw new Error(`wrk does not keep to TLS 1.2: the backend logged '${other}'`)
}
