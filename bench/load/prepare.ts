/** Everything a run needs before it measures: tools, versions, certificates, the backends, and the clients' settings. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { UsageError } from '../../src/base/errors.ts'
import { startBackend } from './backend.ts'
import { createCertificates } from './certificates.ts'
import { provesFullHandshakes } from './h2load.ts'
import { describeMachine, type Machine } from './machine.ts'
import type { Bench } from './measure.ts'
import type { Options } from './options.ts'
import type { PeerName } from './setup.ts'
import { ensureTools, findNode } from './tools.ts'
import { versionsOf } from './versions.ts'
import { provesTls12 } from './wrk.ts'

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

export type Prepared = {
  readonly bench: Bench
  readonly machine: Machine
  /** Of those that the command line allows, the ones that are installed */
  readonly peers: readonly PeerName[]
}

export async function prepare(options: Options, folder: string, say: Bench['say']): Promise<Prepared> {
  const { sallyportCommand, baseCommand, runtime, proxyCore, loadCore, cases } = options
  const { seconds, rounds, warmUpSeconds, firstWarmUpSeconds } = options
  const tools = await ensureTools(options.systemPeers, options.layers)
  const commands = { ...tools, sallyportCommand, baseCommand, runtime, node: await findNode() }
  if (os.cpus().length <= Math.max(proxyCore, loadCore))
    throw new UsageError(`there are ${os.cpus().length} cores; --cores names ${proxyCore} and ${loadCore}`)
  // This process only waits, but it must not do so on the proxy's core.
  execFileSync('taskset', ['-a', '-p', '-c', String(loadCore), String(process.pid)], { stdio: 'ignore' })
  const versions = versionsOf(commands)
  // Sallyport may be able to run without being able to say its version; the others are not installed then.
  const peers = options.peers.filter(name => name === 'sallyport' || versions[name] !== undefined)

  const certificates = createCertificates(folder)
  const backend = await startBackend(loadCore, folder, certificates)
  const environment = (version: 'TLSv1.2' | 'TLSv1.3') => {
    const file = path.join(folder, `openssl-${version}.cnf`)
    writeFileSync(file, opensslConfig(version))
    return { OPENSSL_CONF: file }
  }
  const [clientEnv, clientEnv12] = [environment('TLSv1.3'), environment('TLSv1.2')]
  const url = `https://localhost:${backend.ports.tls}/resumed`
  const base = { core: loadCore, url, connections: 50 }
  if (cases.some(({ load }) => load === 'handshakes'))
    await provesFullHandshakes({ ...base, env: clientEnv }, backend.resumedLog)
  if (cases.some(({ load, tls12 }) => load === 'requests' && tls12 === true))
    await provesTls12({ ...base, env: clientEnv12, folder }, backend.resumedLog)
  const measured = { seconds, rounds, warmUpSeconds, firstWarmUpSeconds, say }
  const peerOptions = { ...commands, versions }
  return {
    bench: { proxyCore, loadCore, folder, certificates, backend, peerOptions, clientEnv, clientEnv12, ...measured },
    machine: describeMachine(versions, runtime ?? 'bun'),
    peers,
  }
}
