/**
 * `npm run bench`: Sallyport beside nginx, HAProxy and Caddy, one core for the proxy, one for load and backend. How it
 * measures and how to read it is in docs/benchmarks.md. A missed bar is no failure (exit 0); an invalid measurement is
 * (exit 1).
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf, UsageError } from '../../src/base/errors.ts'
import { startBackend } from './backend.ts'
import { createCertificates } from './certificates.ts'
import { provesFullHandshakes } from './h2load.ts'
import { describeMachine } from './machine.ts'
import type { Bench } from './measure.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { versionOf } from './peers.ts'
import { killAll } from './processes.ts'
import { type Results, readResults, resultText, writeChart, writeDocs, writeResults } from './report.ts'
import { type Absence, runCase } from './rounds.ts'
import type { PeerName, Sample } from './setup.ts'
import { ensureTools } from './tools.ts'

const docsPage = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url))

/** The same cipher for every proxy: left alone, each side's preferences would choose different ones. */
const opensslConfig = `openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = client
[client]
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = X25519
`

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

async function prepare(
  options: Options,
  folder: string,
  versions: Partial<Record<PeerName, string>>,
): Promise<Bench> {
  const certificates = createCertificates(folder)
  const backend = await startBackend(options.loadCore, folder, certificates)
  const clientConfig = path.join(folder, 'openssl.cnf')
  writeFileSync(clientConfig, opensslConfig)
  const clientEnv = { OPENSSL_CONF: clientConfig }
  if (options.cases.some(({ load }) => load === 'handshakes')) {
    const url = `https://localhost:${backend.ports.tls}/resumed`
    await provesFullHandshakes({ core: options.loadCore, url, connections: 50, env: clientEnv }, backend.resumedLog)
  }
  const { sallyportCommand, baseCommand, runtime, proxyCore, loadCore, seconds, rounds } = options
  const peerOptions = { sallyportCommand, baseCommand, runtime, versions }
  return { proxyCore, loadCore, folder, certificates, backend, peerOptions, clientEnv, seconds, rounds, say }
}

async function measureAll(options: Options, folder: string): Promise<Results> {
  await ensureTools()
  if (os.cpus().length <= Math.max(options.proxyCore, options.loadCore)) {
    throw new UsageError(
      `there are ${os.cpus().length} cores; --cores names ${options.proxyCore} and ${options.loadCore}`,
    )
  }
  // This process only waits, but it must not do so on the proxy's core.
  execFileSync('taskset', ['-a', '-p', '-c', String(options.loadCore), String(process.pid)], { stdio: 'ignore' })

  const versions: Partial<Record<PeerName, string>> = {}
  for (const name of options.peers) {
    const version = versionOf(name, options)
    if (version !== null) versions[name] = version
  }
  // Sallyport may be able to run without being able to say its version; the others are not installed then.
  const peers = options.peers.filter(name => name === 'sallyport' || versions[name] !== undefined)
  const bench = await prepare(options, folder, versions)
  const samples: Sample[] = []
  const absences: Absence[] = []
  for (const one of options.cases) {
    const outcome = await runCase(bench, one, peers)
    samples.push(...outcome.samples)
    absences.push(...outcome.absences)
  }
  const machine = describeMachine(versions, options.runtime ?? 'bun')
  const caseIds = options.cases.map(({ id }) => id)
  return { machine, rounds: options.rounds, seconds: options.seconds, peers, caseIds, samples, absences }
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv)
  if (options.help) {
    process.stdout.write(usage)
    return 0
  }
  let results: Results
  if (options.from !== null) results = readResults(options.from)
  else {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-bench-'))
    // The workers of some proxies give up root, and must still read their certificates.
    chmodSync(folder, 0o755)
    process.once('exit', () => {
      killAll()
      if (options.keep) say(`kept ${folder}`)
      else rmSync(folder, { recursive: true, force: true })
    })
    results = await measureAll(options, folder)
  }
  if (options.json !== null) writeResults(options.json, results)
  if (options.svg !== null) writeChart(options.svg, results)
  if (options.writeDocs) writeDocs(docsPage, results)
  process.stdout.write(resultText(results, options.markdown ? 'markdown' : 'text'))
  return results.samples.some(({ problems }) => problems.length > 0) ? 1 : 0
}

for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => process.exit(status))
}
try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  process.stderr.write(`bench: ${error instanceof UsageError ? error.message : messageOf(error)}\n`)
  process.exit(error instanceof UsageError ? 2 : 1)
}
