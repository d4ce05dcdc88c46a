/** Folders of certificates, expiry and readiness of a running gateway, and what the command line says of them. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import tls from 'node:tls'
import type { SiteInput } from '../../src/config/config.ts'
import { runningHere } from '../../src/control/running.ts'
import { openControl } from '../../src/control/socket.ts'
import {
  type IssuedFiles,
  intermediateCa,
  issueFiles,
  rootCa,
  temporaryFolder,
  testCa,
} from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { main } from '../harness/sallyport.ts'

const ca = testCa()
const running: Started[] = []
const closers: (() => void)[] = []

after(async () => {
  for (const close of closers) close()
  for (const one of running) await one.stop()
})

async function start(...[config]: Parameters<typeof startGateway>): Promise<Started> {
  const started = await startGateway(config)
  running.push(started)
  return started
}

const routes = [{ respond: { body: 'yes' } }]

function put(folder: string, name: string, files: IssuedFiles): void {
  mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
  for (const [ending, text] of [
    ['key', files.keyPem],
    ['crt', files.chainPem],
  ] as const) {
    const file = path.join(folder, `${name}.${ending}`)
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
}

const print = (files: { chainPem: string }): string => new X509Certificate(files.chainPem).fingerprint256

async function shown(port: number, servername: string): Promise<string> {
  const socket = tls.connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false })
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}

const said =
  (message: string, source = '') =>
  (record: Record<string, unknown>) =>
    record['message'] === message && String(record['source'] ?? '').endsWith(source)

describe('a folder of certificates', () => {
  it('serves all hosts of a site, and takes up what is added, changed and removed', async () => {
    const folder = temporaryFolder()
    const [wild, shop] = [issueFiles(ca, ['*.example.test']), issueFiles(ca, ['shop.example.test'])]
    put(folder, 'wild', wild)
    put(folder, 'example/tls', issueFiles(ca, ['example.test', 'localhost']))
    const site: SiteInput = {
      host: ['example.test', '*.example.test'],
      default: true,
      certificate: { directory: folder },
      routes,
    }
    const gateway = await start({ sites: [site] })
    const { port } = gateway
    assert.equal(await shown(port, 'shop.example.test'), print(wild))
    put(folder, 'shop', shop)
    await gateway.logged(said('certificate added', 'shop.crt'))
    assert.equal(await shown(port, 'shop.example.test'), print(shop))
    assert.equal(await shown(port, 'pay.example.test'), print(wild))
    const next = issueFiles(ca, ['shop.example.test'], { days: 90 })
    put(folder, 'shop', next)
    await gateway.logged(said('certificate replaced', 'shop.crt'))
    assert.equal(await shown(port, 'shop.example.test'), print(next))
    writeFileSync(path.join(folder, 'shop.crt'), 'half a file')
    await gateway.logged(said('certificate files cannot be used', 'shop.crt'))
    assert.equal(await shown(port, 'shop.example.test'), print(next))
    for (const name of ['shop.crt', 'shop.key']) rmSync(path.join(folder, name))
    await gateway.logged(said('certificate removed', 'shop.crt'))
    assert.equal(await shown(port, 'shop.example.test'), print(wild))
    for (const name of ['wild.crt', 'wild.key']) rmSync(path.join(folder, name))
    await gateway.logged(
      said('certificate files were removed, and no other certificate covers their names', 'wild.crt'),
    )
    assert.equal(await shown(port, 'shop.example.test'), print(wild))
  })

  it('without one for a host of the site is an error at start that names it', async () => {
    const folder = temporaryFolder()
    const site = (host: string[]): SiteInput => ({ host, certificate: { directory: folder }, routes })
    await assert.rejects(startGateway({ sites: [site(['a.test'])] }), /has no certificate for a\.test: it holds no/)
    put(folder, 'a', issueFiles(ca, ['a.test']))
    await assert.rejects(startGateway({ sites: [site(['a.test', 'b.test'])] }), /has no certificate for b\.test$/)
    const missing = { host: 'a.test', certificate: { directory: path.join(folder, 'none') }, routes }
    await assert.rejects(startGateway({ sites: [missing] }), /none: does not exist/)
    const both = {
      host: 'a.test',
      certificate: { directory: folder, chain: import.meta.filename, key: import.meta.filename },
      routes,
    }
    await assert.rejects(startGateway({ sites: [both] as unknown as SiteInput[] }), /chain is beside directory/)
    await start({ sites: [site(['a.test'])] })
  })
})

describe('expiry', () => {
  it('is a warning in the log, an alert to the webhook, a reason not to be ready, and exit code 1 of status', async () => {
    const bodies: Record<string, unknown>[] = []
    let look = () => {}
    const hook = http.createServer((request, response) => {
      let text = ''
      request.on('data', chunk => (text += chunk))
      request.on('end', () => {
        bodies.push(JSON.parse(text))
        response.end()
        look()
      })
    })
    await new Promise<void>(resolve => hook.listen(0, '127.0.0.1', resolve))
    closers.push(() => {
      hook.closeAllConnections()
      hook.close()
    })
    const soon = issueFiles(ca, ['soon.test'], { days: 31 })
    const year = issueFiles(ca, ['year.test'], { days: 365 })
    const gone = issueFiles(ca, ['gone.test'], { expired: true })
    const of = ({ chainFile, keyFile }: IssuedFiles) => ({ chain: chainFile, key: keyFile })
    const state = temporaryFolder('sallyport-state-')
    const listen = [{ port: 0, address: '127.0.0.1' }]
    const sites: SiteInput[] = [
      { host: ['soon.test', 'other.test'], certificate: of(soon), routes },
      { host: 'year.test', certificate: of(year), routes },
      { host: 'gone.test', certificate: of(gone), routes },
    ]
    const alerts = { url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`, days: [10] }
    const gateway = await start({ listen, sites, state, alerts })
    const record = await gateway.logged(said('certificate expired 24 hours ago'))
    assert.equal(record['level'], 'error')
    assert.deepEqual(record['sites'], ['gone.test'])
    assert.equal(gateway.logs().filter(each => /^certificate expires/.test(String(each['message']))).length, 0)
    await new Promise<void>(resolve => {
      look = () => bodies.length >= 1 && resolve()
      look()
    })
    assert.equal(bodies[0]?.['event'], 'certificate-expired')
    assert.equal(bodies[0]?.['fingerprint'], print(gone))
    const { ready, reasons } = gateway.gateway.readiness()
    assert.equal(ready, false)
    assert.match(
      reasons.join(),
      /^certificate of gone\.test expired on \d{4}-\d\d-\d\d \d\d:\d\d UTC, 24 hours ago$/,
    )

    // The command line, over the control socket.
    closers.push(await openControl(state, runningHere(gateway.gateway)))
    const file = path.join(temporaryFolder(), 'sallyport.json')
    writeFileSync(file, JSON.stringify({ listen, sites, state, alerts }))
    const status = await cli('status', '-c', file)
    assert.equal(status.code, 1, status.err)
    assert.match(status.out, /3 certificates, 1 expired, 0 with problems, the next to end is soon\.test: 30 days/)
    assert.match(status.out, /not ready: certificate of gone\.test expired/)
    const list = await cli('certs', 'list', '-c', file)
    assert.equal(list.code, 0, list.err)
    assert.match(list.out, /^NAMES .*STATE\ngone\.test .* expired +expired\nsoon\.test .* 30 +serving\nyear\.test /)
    const rows = JSON.parse((await cli('certs', 'list', '--json', '-c', file)).out)
    assert.equal(rows[2].state, 'serving')
    assert.equal(rows[2].fingerprint256, print(year))

    // With the bad one replaced it is ready again.
    const renewed = issueFiles(ca, ['gone.test'], { days: 60 })
    writeFileSync(gone.keyFile, renewed.keyPem)
    writeFileSync(gone.chainFile, renewed.chainPem)
    await gateway.logged(said('certificate replaced'))
    assert.deepEqual(gateway.gateway.readiness(), { ready: true, reasons: [] })
    assert.equal((await cli('status', '-c', file)).code, 0)
  })
})

type Ended = { readonly code: number | null; readonly out: string; readonly err: string }

function cli(...words: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.on('data', chunk => void (out += chunk))
  child.stderr.on('data', chunk => void (err += chunk))
  return new Promise(resolve => child.on('close', code => resolve({ code, out, err })))
}

describe('without a running gateway', () => {
  it('certs list and inspect read the files, broken ones too', async () => {
    const inner = intermediateCa(rootCa('Outer root'), 'Inner CA')
    const good = issueFiles(inner, ['a.test', '*.b.test'])
    const bad = issueFiles(ca, ['c.test'])
    const file = path.join(temporaryFolder(), 'sallyport.json')
    const config = {
      listen: [{ port: 0 }],
      state: temporaryFolder(),
      sites: [
        { host: 'a.test', certificate: { chain: good.chainFile, key: good.keyFile }, routes },
        { host: 'c.test', certificate: { chain: bad.chainFile, key: good.keyFile }, routes },
        { host: 'd.test', certificate: { chain: good.chainFile, key: good.keyFile }, routes },
      ],
    }
    writeFileSync(file, JSON.stringify(config))
    const list = await cli('certs', 'list', '-c', file)
    assert.equal(list.code, 0, list.err)
    assert.match(list.err, /no gateway is running here/)
    assert.match(list.out, /broken: .*the private key does not belong to CN=c\.test/)
    const inspect = await cli('certs', 'inspect', 'a.test', '-c', file)
    assert.equal(inspect.code, 0, inspect.err)
    assert.match(
      inspect.out,
      /^1 {2}CN=a\.test\n {3}names +a\.test, \*\.b\.test\n {3}issuer +O=.*CN=Inner CA\n {3}key +ecdsa P-256$/m,
    )
    assert.match(inspect.out, /^2 {2}O=.*CN=Inner CA$/m)
    const [{ chain }] = JSON.parse((await cli('certs', 'inspect', 'a.test', '--json', '-c', file)).out)
    assert.deepEqual(
      chain.map((one: { key: string }) => one.key),
      ['ecdsa P-256', 'ecdsa P-256'],
    )
    assert.equal((await cli('certs', 'inspect', 'x.test', '-c', file)).code, 2)
    const check = await cli('check', '-c', file)
    assert.equal(check.code, 2)
    assert.match(check.err, /covers none of the names it is shown for \(d\.test\)/)
    assert.match(check.err, /c\.test: .*does not belong/)
  })
})
