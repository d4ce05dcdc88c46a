/** wrk: as many requests as the proxy answers, over connections that stay open. */
import { writeFileSync } from 'node:fs'
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
}

// wrk's own summary rounds; its Lua hook gives exact numbers.
const summaryScript = `
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d %d %d\\n", summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(99), e.connect, e.read, e.write, e.timeout, e.status))
end
`

export async function runWrk({ core, url, seconds, connections, bytes, env, folder }: WrkRun): Promise<WrkResult> {
  const script = path.join(folder, 'summary.lua')
  writeFileSync(script, summaryScript)
  const command = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', script, url]
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
  else if (read / requests < bytes) {
    problems.push(`wrk: ${Math.round(read / requests)} bytes a response, ${bytes} expected`)
  }
  return { requests, seconds: durationUs / 1e6, p50Us, p99Us, problems }
}
