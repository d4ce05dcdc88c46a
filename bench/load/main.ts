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
import type { PeerOptions } from './peers.ts'
import { killAll } from './processes.ts'
import { type Results, readResults, resultText, writeChart, writeDocs, writeResults } from './report.ts'
import { type Absence, runCase } from './rounds.ts'
import type { Sample } from './setup.ts'
import { ensureTools, findNode } from './tools.ts'
import { versionsOf } from './versions.ts'
import { provesTls12 } from './wrk.ts'

const docsPage = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url))

/**
 * The same cipher and key exchange for every proxy: left alone, each side's preferences would choose different ones. In
 * TLS 1.2 the list of groups also says which curves a certificate may have.
 */
const opensslConfig = (version: 'TLSv1.2' | 'TLSv1.3') => `openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = client
[client]
Ciphersuites = TLS_AES_128_GCM_SHA256
CipherString = ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256
Groups = ${version === 'TLSv1.2' ? 'X25519:P-256' : 'X25519'}
MaxProtocol = ${version}
`

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

async function prepare(options: Options, folder: string, peerOptions: PeerOptions): Promise<Bench> {
  const certificates = createCertificates(folder)
  const backend = await startBackend(options.loadCore, folder, certificates)
  const environment = (version: 'TLSv1.2' | 'TLSv1.3') => {
    const file = path.join(folder, `openssl-${version}.cnf`)
    writeFileSync(file, opensslConfig(version))
    return { OPENSSL_CONF: file }
  }
  const [clientEnv, clientEnv12] = [environment('TLSv1.3'), environment('TLSv1.2')]
  const url = `https://localhost:${backend.ports.tls}/resumed`
  const base = { core: options.loadCore, url, connections: 50 }
  if (options.cases.some(({ load }) => load === 'handshakes'))
    await provesFullHandshakes({ ...base, env: clientEnv }, backend.resumedLog)
  if (options.cases.some(({ load, tls12 }) => load === 'requests' && tls12 === true))
    await provesTls12({ ...base, env: clientEnv12, folder }, backend.resumedLog)
  const { proxyCore, loadCore, seconds, rounds, warmUpSeconds, firstWarmUpSeconds } = options
  const measured = { seconds, rounds, warmUpSeconds, firstWarmUpSeconds, say }
  return { proxyCore, loadCore, folder, certificates, backend, peerOptions, clientEnv, clientEnv12, ...measured }
}

async function measureAll(options: Options, folder: string): Promise<Results> {
  const { sallyportCommand, baseCommand, runtime } = options
  const tools = await ensureTools(options.systemPeers)
  const commands = { ...tools, sallyportCommand, baseCommand, runtime, node: await findNode() }
  if (os.cpus().length <= Math.max(options.proxyCore, options.loadCore)) {
    throw new UsageError(
      `there are ${os.cpus().length} cores; --cores names ${options.proxyCore} and ${options.loadCore}`,
    )
  }
  // This process only waits, but it must not do so on the proxy's core.
  execFileSync('taskset', ['-a', '-p', '-c', String(options.loadCore), String(process.pid)], { stdio: 'ignore' })

  const versions = versionsOf(commands)
  // Sallyport may be able to run without being able to say its version; the others are not installed then.
  const peers = options.peers.filter(name => name === 'sallyport' || versions[name] !== undefined)
  const bench = await prepare(options, folder, { ...commands, versions })
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
