/**
 * Certificates that live for seconds, renewed several times by a gateway process while h2load, a connection that stays open
 * and verifying clients of both TLS versions use it: no request fails, no handshake fails, nobody is shown an expired one.
 */

import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import tls from 'node:tls'
import { temporaryFolder, testCa } from '../harness/certificates.ts'
import { type Pebble, pebbleIsMissing, startPebble } from '../harness/pebble.ts'
import { type RenewalInfo, startRenewalInfo } from '../harness/renewal-info.ts'
import { main, readyOf } from '../harness/sallyport.ts'
import { isLong, sized } from '../harness/scale.ts'
import { until } from '../harness/until.ts'

const noH2load = spawnSync('h2load', ['--version']).error !== undefined
const missing = [...(pebbleIsMissing ? [pebbleIsMissing] : []), ...(noH2load ? ['h2load'] : [])]
const ca = testCa()

/** Of a certificate. A new one is not replaced before a sixth of it (see certs/managed/plan.ts). */
const lifeSeconds = 40
const renewals = sized(2, 5)
/** One host for each TLS version, since h2load takes the highest that it is offered. */
const hosts = { 'new.test': 'TLSv1.3', 'old.test': 'TLSv1.2' } as const
type Host = keyof typeof hosts
type Rec = Record<string, unknown>

describe('certificates that live for seconds', {
  skip: missing.length > 0 && `not installed: ${missing.join(', ')}`,
}, () => {
  let pebble: Pebble
  let root = ''
  let info: RenewalInfo

  before(async () => {
    pebble = await startPebble({
      ca,
      ownAnswers: true,
      // Its own default is the same, for a Pebble that has no profiles.
      profiles: { shortlived: lifeSeconds, default: lifeSeconds },
      // Every order is proved anew: the challenge is answered in the midst of the load.
      env: { PEBBLE_AUTHZREUSE: '0' },
    })
    root = await pebble.root()
    info = await startRenewalInfo(pebble, ca, () => ({ start: Date.now() + 1_000, end: Date.now() + 3_000 }))
  })
  after(() => {
    info?.stop()
    pebble?.stop()
  })

  for (const workers of isLong ? [1, 2] : [2]) {
    test(`${renewals} renewals with ${workers} worker(s), under load, and nothing fails`, async () => {
      const gateway = await startProcess(pebble, info.directory, workers)
      const seen = new Map<Host, Set<string>>([
        ['new.test', new Set()],
        ['old.test', new Set()],
      ])
      const names = [...seen.keys()]
      try {
        const count = (message: string, name: string) =>
          gateway.logs().filter(one => one['message'] === message && one['name'] === name).length
        // A disk that many share can take its time over an fsync. A second worker picks up within a second or two.
        await until(() => names.every(name => count('certificate obtained', name) > 0))
        await until(() => names.every(name => count('certificate picked up', name) >= workers - 1))
        let over = false
        const enough = () => names.every(name => (seen.get(name) as Set<string>).size > renewals)
        const ending = until(enough, 240_000).finally(() => void (over = true))
        let probes = 0
        const probe = async (host: Host) => {
          while (!over) {
            seen.get(host)?.add(await serialOf(gateway.port, host, root))
            probes++
          }
        }
        let requests = 0
        const load = async (host: Host) => {
          while (!over) requests += await h2load(gateway.port, host)
        }
        const kept = await keptOpen(gateway.port, 'new.test', root)
        const keep = async () => {
          while (!over) await kept.request()
        }
        try {
          await Promise.all([ending, ...names.map(probe), ...names.map(load), keep()])
        } finally {
          over = true
          kept.close()
        }
        assert.ok(probes > 50 && requests > 1_000, `${probes} probes, ${requests} requests`)
        // A certificate serves before it is on disk, and is told of after.
        await until(() => names.every(name => count('certificate obtained', name) >= (seen.get(name)?.size ?? 0)))
        gateway.check(seen, workers)
      } catch (error) {
        throw new Error(`${(error as Error).message}\n${gateway.output().slice(-4_000)}`, { cause: error })
      } finally {
        await gateway.stop()
      }
    })
  }
})

type Running = {
  readonly port: number
  logs(): Rec[]
  /** All of it, for whoever has to find out why */
  output(): string
  check(seen: ReadonlyMap<Host, ReadonlySet<string>>, workers: number): void
  stop(): Promise<void>
}

async function startProcess(pebble: Pebble, directory: string, workers: number): Promise<Running> {
  // In memory, where it can be: on a busy disk an fsync may take longer than these certificates live.
  const isShared = existsSync('/dev/shm')
  const folder = isShared ? mkdtempSync('/dev/shm/sallyport-short-') : temporaryFolder('sallyport-short-')
  const file = path.join(folder, 'sallyport.yaml')
  const port = pebble.tlsPort
  const site = (host: string, policy: string) =>
    `  - { host: ${host}, certificate: acme, policy: ${policy}, routes: [{ respond: { body: hello } }] }\n`
  writeFileSync(
    file,
    `listen: [{ port: ${port}, address: 127.0.0.1 }]
state: ${folder}/state
policies: { old: { extends: intermediate, maxVersion: TLSv1.2 } }
acme: { email: ops@example.com, directory: "${directory}", ca: ${ca.file}${pebble.hasProfiles ? ', profile: shortlived' : ''} }
log: { access: false }
sites:
${site('new.test', 'modern')}${site('old.test', 'old')}`,
  )
  const child: ChildProcess = spawn(process.execPath, [main, 'run', '-c', file, '--workers', `${workers}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<void>(resolve => child.on('close', () => resolve()))
  let out = ''
  let err = ''
  child.stdout?.on('data', chunk => void (out += chunk))
  child.stderr?.on('data', chunk => void (err += chunk))
  const logs = () =>
    out
      .split('\n')
      .slice(0, -1)
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as Rec)
  await readyOf(child, () => out)
  return {
    port,
    logs,
    output: () => err + out,
    check(seen, count) {
      const said = (message: string, name: string) =>
        logs().filter(one => one['message'] === message && one['name'] === name)
      for (const [name, serials] of seen) {
        const obtained = said('certificate obtained', name)
        // One order for each, whichever worker made it; and a few that came after the last look.
        assert.ok(obtained.length <= serials.size + 2, `${name}: ${obtained.length} of ${serials.size}`)
        for (const one of said('renewing a certificate', name))
          assert.match(String(one['why']), /^the issuer asks for renewal/)
        const picked = said('certificate picked up', name).length
        assert.ok(picked >= (count - 1) * (serials.size - 1), `${name}: ${picked} picked up, ${serials.size} seen`)
      }
      const bad = logs().filter(one => one['level'] === 'error' || one['message'] === 'no new certificate')
      assert.deepEqual(bad, [])
    },
    async stop() {
      child.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Runs it once, with connections of its own. @returns how many requests succeeded; rejects if one did not */
function h2load(port: number, host: Host): Promise<number> {
  const many = 400
  const words = ['-n', `${many}`, '-c', '8', '-m', '10', `--connect-to=127.0.0.1:${port}`, `https://${host}/`]
  return new Promise((resolve, reject) => {
    execFile('h2load', words, (error, stdout) => {
      const whole = `${many} total, ${many} started, ${many} done, ${many} succeeded, 0 failed, 0 errored, 0 timeout`
      const fine = error === null && stdout.includes(whole) && stdout.includes(`TLS Protocol: ${hosts[host]}`)
      if (fine) resolve(many)
      else reject(new Error(`h2load: ${error?.message ?? ''}\n${stdout}`))
    })
  })
}

function verified(port: number, host: Host, root: string, opened: (socket: tls.TLSSocket) => void): tls.TLSSocket {
  const version = hosts[host]
  const socket: tls.TLSSocket = tls.connect(
    { host: '127.0.0.1', port, servername: host, ca: root, minVersion: version, maxVersion: version },
    () => opened(socket),
  )
  return socket
}

/** Rejects where the handshake fails, or the certificate is for another name, of another CA, or expired. */
function serialOf(port: number, host: Host, root: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = verified(port, host, root, () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.end()
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('closed')))
  })
}

/** A connection that is older than the certificates that are shown. */
async function keptOpen(port: number, host: Host, root: string) {
  let text = ''
  let look = () => {}
  let failed: Error | null = null
  const socket = await new Promise<tls.TLSSocket>((resolve, reject) => {
    const opening = verified(port, host, root, () => resolve(opening))
    opening.on('error', error => {
      failed = error
      reject(error)
      look()
    })
    opening.on('close', () => {
      failed ??= new Error('the connection was closed')
      look()
    })
    opening.on('data', chunk => {
      text += chunk
      look()
    })
  })
  return {
    async request() {
      text = ''
      socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      await new Promise<void>((resolve, reject) => {
        look = () => {
          if (failed !== null) reject(failed)
          else if (text.endsWith('hello')) resolve()
        }
        look()
      })
      assert.match(text, /^HTTP\/1\.1 200 /)
      // A human pace: it is there to be old, not to add to the load.
      await new Promise(resolve => setTimeout(resolve, 50))
    },
    close: () => {
      failed = new Error('over')
      socket.destroy()
    },
  }
}
