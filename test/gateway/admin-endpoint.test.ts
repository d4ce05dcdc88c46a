/** The admin listener: metrics that follow real traffic and certificates, probes, its bounds, and several workers. */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import type { AdminConfig } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { Admin, type AdminOptions } from '../../src/control/admin.ts'
import { askGateway } from '../../src/control/client.ts'
import { metrics } from '../../src/control/commands/metrics.ts'
import { reload } from '../../src/control/commands/reload.ts'
import { createGateway, Gateway } from '../../src/index.ts'
import { isProcessMetrics, type ProcessMetrics } from '../../src/observe/process-metrics.ts'
import { type IssuedFiles, issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { readExposition, type Scraped } from '../harness/exposition.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { freePort } from '../harness/ports.ts'
import { rawTcp, rawTls } from '../harness/raw.ts'
import { main, readyOf } from '../harness/sallyport.ts'
import { eventually } from '../harness/until.ts'

const ca = testCa()
const routes = [{ respond: { body: 'yes' } }]
const local = [{ host: 'localhost', certificate: 'local' as const, routes }]
const loopback = { listen: { port: 0, address: '127.0.0.1' }, token: null }
const closers: (() => unknown)[] = []

after(async () => {
  for (const close of closers.reverse()) await close()
})

type Watched = Started & { readonly admin: Admin; readonly at: number }

async function start(
  config: Parameters<typeof startGateway>[0],
  admin: AdminConfig = loopback,
  options: AdminOptions = {},
): Promise<Watched> {
  const started = await startGateway(config)
  const own = new Admin(started.gateway, options)
  await own.open(admin)
  closers.push(async () => {
    own.close()
    await started.stop()
  })
  return { ...started, admin: own, at: own.port as number }
}

type Answer = { readonly status: number; readonly headers: http.IncomingHttpHeaders; readonly body: string }

function ask(
  port: number,
  target: string,
  headers: http.OutgoingHttpHeaders = {},
  method = 'GET',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { port, host: '127.0.0.1', path: target, method, headers, agent: false },
      response => {
        const chunks: Buffer[] = []
        response.on('data', chunk => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const body = Buffer.concat(chunks).toString('utf8')
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
        })
      },
    )
    request.on('error', reject)
    request.end()
  })
}

async function scrape(port: number): Promise<Scraped> {
  const { status, headers, body } = await ask(port, '/metrics')
  assert.equal(status, 200)
  assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  return readExposition(body)
}

/** Scrapes until it holds; what is scraped may be some milliseconds old. */
async function scrapeUntil(port: number, holds: (scraped: Scraped) => boolean): Promise<Scraped> {
  let scraped = await scrape(port)
  await eventually(
    () => `${holds}\n${show(scraped)}`,
    async () => holds(scraped) || holds((scraped = await scrape(port))),
  )
  return scraped
}

const show = ({ samples }: Scraped) => samples.map(each => JSON.stringify(each)).join('\n')

async function statusUntil(port: number, status: number, headers: http.OutgoingHttpHeaders = {}): Promise<Answer> {
  let answer = await ask(port, '/readyz', headers)
  await eventually(
    () => `${status}, not ${answer.status}: ${answer.body}`,
    async () => answer.status === status || (answer = await ask(port, '/readyz', headers)).status === status,
  )
  return answer
}

const sum = (scraped: Scraped, name: string, labels: Record<string, string> = {}): number =>
  scraped
    .all(name)
    .filter(each => Object.entries(labels).every(([label, value]) => each.labels[label] === value))
    .reduce((total, { value }) => total + value, 0)

const of = ({ chainFile, keyFile }: IssuedFiles) => ({ chain: chainFile, key: keyFile })

describe('metrics', () => {
  it('follow connections, requests and failed handshakes', async () => {
    const { port, at } = await start({ sites: local })
    const before = await scrape(at)
    assert.equal(before.value('sallyport_build_info', { worker: '1' }), 1)
    assert.equal(before.value('sallyport_connections_accepted_total'), 0)
    assert.equal(before.value('sallyport_workers_unreachable'), 0)
    assert.ok(before.value('sallyport_process_resident_memory_bytes') > 1e6)
    assert.ok(before.value('sallyport_process_start_time_seconds') * 1000 < Date.now())
    const [one, two] = [await rawTls(port), await rawTls(port)]
    await scrapeUntil(at, each => each.value('sallyport_connections_open') === 2)
    one.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHost: other.test\r\n\r\n')
    two.send('nonsense\r\n\r\n')
    await scrapeUntil(at, each => sum(each, 'sallyport_requests_total', { class: '2xx' }) === 1)
    await scrapeUntil(at, each => sum(each, 'sallyport_requests_total', { class: '4xx' }) === 2)
    for (let times = 0; times < 3; times++) await assert.rejects(rawTls(port, { servername: 'nobody.test' }))
    const plain = await rawTcp(port)
    plain.send('\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00')
    await plain.closed()
    one.destroy()
    two.destroy()
    const later = await scrapeUntil(at, each => each.value('sallyport_connections_open') === 0)
    assert.equal(later.value('sallyport_connections_accepted_total'), 6)
    assert.equal(later.value('sallyport_handshakes_failed_total', { error: 'TLS_UNKNOWN_NAME' }), 3)
    assert.equal(later.value('sallyport_handshakes_failed_total', { error: 'TLS_MALFORMED' }), 1)
  })

  it('count requests where the access log is off, too', async () => {
    const { at, port } = await start({ sites: local, log: { access: false } })
    const client = await rawTls(port)
    client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await client.until(text => text.endsWith('yes'))
    client.destroy()
    await scrapeUntil(at, each => sum(each, 'sallyport_requests_total', { class: '2xx' }) === 1)
  })

  it('never fall when a reload closes a listener', async () => {
    const listen = [
      { port: 0, address: '127.0.0.1' },
      { port: 0, address: '127.0.0.1' },
    ]
    const { gateway, ports, at } = await start({ sites: local, listen })
    for (const port of ports) (await rawTls(port)).destroy()
    await scrapeUntil(at, each => each.value('sallyport_connections_accepted_total') === 2)
    const value = { listen: [{ ...listen[0], port: ports[0] }], sites: local, state: gateway.config.state }
    await gateway.apply((await loadConfig({ value })).config)
    const scraped = await scrapeUntil(at, each => each.value('sallyport_snapshot_version') === 2)
    assert.equal(scraped.value('sallyport_connections_accepted_total'), 2)
  })
})

describe('certificates', () => {
  it('are metrics; one that has expired is a reason not to be ready', async () => {
    const soon = issueFiles(ca, ['soon.test', 'a.soon.test', 'b.soon.test', 'c.soon.test'], { days: 31 })
    const gone = issueFiles(ca, ['gone.test'], { expired: true })
    const sites = [
      { host: ['soon.test', 'a.soon.test'], certificate: of(soon), routes },
      { host: 'other.test', certificate: of(soon), routes },
      { host: 'gone.test', certificate: of(gone), routes },
    ]
    const { at, logged } = await start({ sites })
    const scraped = await scrape(at)
    assert.equal(scraped.value('sallyport_certificates'), 2)
    assert.equal(scraped.value('sallyport_certificates_expired'), 1)
    assert.equal(scraped.value('sallyport_certificates_broken'), 0)
    const [one] = scraped.all('sallyport_certificate_days_left').filter(each => each.labels['site'] === 'soon.test')
    assert.deepEqual(one?.labels, {
      names: 'soon.test,a.soon.test,b.soon.test,+1',
      site: 'soon.test',
      source: soon.chainFile,
      key: 'ecdsa',
    })
    assert.ok((one?.value ?? 0) > 30.9 && (one?.value ?? 0) <= 31)
    const ended = scraped.value('sallyport_certificate_days_left', { site: 'gone.test' })
    assert.ok(ended < 0 && ended >= -1.01, String(ended))
    const end = scraped.value('sallyport_certificate_not_after_seconds', { site: 'gone.test' })
    assert.ok(Math.abs(end * 1000 - (Date.now() - 86_400_000)) < 60_000)

    const text = await ask(at, '/readyz')
    assert.equal(text.status, 503)
    assert.match(text.body, /^not ready\ncertificate of gone\.test expired on \d{4}-.* ago\n$/)
    const json = await ask(at, '/readyz', { accept: 'application/json' })
    assert.equal(json.status, 503)
    assert.equal(json.headers['content-type'], 'application/json')
    const { ready, reasons } = JSON.parse(json.body)
    assert.equal(ready, false)
    assert.match(reasons.join(), /^certificate of gone\.test expired/)
    assert.equal((await ask(at, '/healthz')).status, 200)

    const renewed = issueFiles(ca, ['gone.test'], { days: 60 })
    writeFileSync(gone.keyFile, renewed.keyPem)
    writeFileSync(gone.chainFile, renewed.chainPem)
    await logged(record => record['message'] === 'certificate replaced')
    assert.equal((await statusUntil(at, 200)).body, 'ready\n')
    await scrapeUntil(at, each => each.value('sallyport_certificate_days_left', { site: 'gone.test' }) > 59)

    writeFileSync(soon.chainFile, soon.chainPem.slice(0, 300))
    await logged(record => record['message'] === 'certificate files cannot be used')
    const broken = await scrapeUntil(at, each => each.value('sallyport_certificates_broken') === 1)
    assert.equal(broken.value('sallyport_certificate_problem', { source: soon.chainFile }), 1)
    // What is in force still is, and has its end.
    assert.ok(broken.value('sallyport_certificate_days_left', { site: 'soon.test' }) > 30)
  })

  it('that cannot be ordered are a problem without an end', async () => {
    const acme = { directory: `https://127.0.0.1:${await freePort()}/directory`, email: 'ops@example.test' }
    const { at } = await start({ sites: [{ host: 'ordered.test', certificate: 'acme', routes }], acme })
    const problem = (each: Scraped) => each.all('sallyport_certificate_problem')
    const scraped = await scrapeUntil(at, each => problem(each).length > 0)
    assert.deepEqual(problem(scraped)[0]?.labels, {
      names: '',
      site: 'ordered.test',
      source: 'ordered.test',
      key: '',
    })
    assert.equal(scraped.value('sallyport_certificates_broken'), 1)
    assert.equal(scraped.types.has('sallyport_certificate_days_left'), false)
  })

  it('with hostile names are one line each, escaped', async () => {
    const evil = 'a"} 1\nevil_total{x="\\y\r\u0000'
    const files = issueFiles(ca, ['good.test'], { oddNames: [evil] })
    const folder = path.join(temporaryFolder(), 'we"ird\\\nfolder')
    mkdirSync(folder)
    const [chain, key] = [path.join(folder, 'chain.pem'), path.join(folder, 'key.pem')]
    renameSync(files.chainFile, chain)
    renameSync(files.keyFile, key)
    const { at } = await start({ sites: [{ host: 'good.test', certificate: { chain, key }, routes }] })
    const scraped = await scrape(at)
    const [one, ...more] = scraped.all('sallyport_certificate_days_left')
    assert.equal(more.length, 0)
    assert.equal(one?.labels['source'], chain)
    assert.match(one?.labels['names'] ?? '', /^good\.test,a"\} 1\nevil_total\{x="\\y\ufffd\ufffd$/)
    assert.equal(scraped.types.has('evil_total'), false)
  })
})

describe('the admin listener', () => {
  it('knows three paths and two methods', async () => {
    const { at } = await start({ sites: local })
    assert.equal((await ask(at, '/healthz?x=1')).body, 'ok\n')
    for (const target of ['/', '/metrics/', '/Metrics', '//metrics', '/../metrics', '*', 'http://a/metrics'])
      assert.equal((await ask(at, target)).status, 404, target)
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
      const { status, headers } = await ask(at, '/metrics', {}, method)
      assert.deepEqual([status, headers['allow']], [405, 'GET, HEAD'], method)
    }
    const head = await ask(at, '/metrics', {}, 'HEAD')
    assert.deepEqual([head.status, head.body], [200, ''])
    assert.ok(Number(head.headers['content-length']) > 1_000)
    assert.equal(head.headers['connection'], 'close')
  })

  it('with a token tells strangers only whether it is ready', async () => {
    const token = 'a-token-of-some-length'
    const expired = issueFiles(ca, ['secret-name.test'], { expired: true })
    const sites = [{ host: 'secret-name.test', certificate: of(expired), routes }]
    const { at, admin } = await start({ sites }, { ...loopback, token })
    const bearing = (value: string) => ({ authorization: value })
    for (const wrong of [
      {},
      bearing('Bearer'),
      bearing(`Bearer ${token}x`),
      bearing(`Bearer ${token.slice(0, -1)}`),
      bearing(`Basic ${token}`),
      bearing(token),
      bearing(`Bearer ${token} ${token}`),
    ]) {
      const { status, headers, body } = await ask(at, '/metrics', wrong)
      assert.deepEqual([status, headers['www-authenticate']], [401, 'Bearer'])
      const ready = await ask(at, '/readyz', wrong)
      assert.deepEqual([ready.status, ready.body], [503, 'not ready\n'])
      const json = await ask(at, '/readyz', { ...wrong, accept: 'application/json' })
      assert.deepEqual(JSON.parse(json.body), { ready: false })
      assert.ok(!(body + ready.body + json.body).includes('secret-name'))
    }
    assert.equal((await ask(at, '/healthz')).status, 200)
    const { status, body } = await ask(at, '/metrics', bearing(`Bearer ${token}`))
    assert.equal(status, 200)
    assert.equal(readExposition(body).value('sallyport_certificates_expired'), 1)
    assert.match((await ask(at, '/readyz', bearing(`bearer ${token}`))).body, /secret-name/)
    // A new token on the same address.
    await admin.open({ listen: { port: at, address: '127.0.0.1' }, token: 'another-token-of-some-length' })
    assert.equal((await ask(at, '/metrics', bearing(`Bearer ${token}`))).status, 401)
    assert.equal((await ask(at, '/metrics', bearing('Bearer another-token-of-some-length'))).status, 200)
  })

  it('bounds heads, time and connections', async () => {
    const bounds = { connectionMs: 400, connections: 4, headBytes: 2_048 }
    const { at } = await start({ sites: local }, loopback, { bounds })
    const large = await rawTcp(at)
    large.send(`GET /metrics HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(4_000)}\r\n\r\n`)
    assert.match((await large.closed()).received, /^HTTP\/1\.1 431 /)
    const odd = await rawTcp(at)
    odd.send('\x16\x03\x01\x02\x00nonsense\r\n\r\n')
    assert.match((await odd.closed()).received, /^(HTTP\/1\.1 400 |$)/)
    const body = await rawTcp(at)
    body.send('POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nx')
    assert.match((await body.closed()).received, /^HTTP\/1\.1 405 /)

    // Four that are silent, or slow, or do not read: more have no room, and all of them go in time.
    const held = await Promise.all([rawTcp(at), rawTcp(at), rawTcp(at), rawTcp(at)])
    const dripping = setInterval(() => held[1]?.send('x'), 20)
    held[1]?.send('GET /metrics HTTP/1.1\r\nX: ')
    held[2]?.send('GET /metrics HTTP/1.1\r\nHost: a\r\n')
    const refused = await ask(at, '/healthz').catch(() => null)
    assert.equal(refused, null)
    for (const each of held) assert.ok(!/ 200 /.test((await each.closed()).received))
    clearInterval(dripping)
    assert.equal((await ask(at, '/healthz')).status, 200)
  })

  it('moves with a reload: the new address first, and the old one stays where that fails', async () => {
    const { admin, at } = await start({ sites: local })
    const [next, taken] = [await freePort(), http.createServer()]
    await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
    closers.push(() => taken.close())
    const { port: used } = taken.address() as { port: number }
    const on = (port: number, address = '127.0.0.1') => ({ listen: { port, address }, token: null })
    await assert.rejects(admin.prepare(on(used)), /admin\.listen: cannot listen on 127\.0\.0\.1:\d+ \(EADDRINUSE\)/)
    assert.equal((await ask(at, '/healthz')).status, 200)

    const prepared = await admin.prepare(on(next))
    assert.equal((await ask(at, '/healthz')).status, 200)
    assert.equal((await ask(next, '/healthz')).status, 200)
    prepared.commit()
    await assert.rejects(ask(at, '/healthz'), /ECONNREFUSED|refused|connect/i)
    assert.equal((await ask(next, '/healthz')).status, 200)

    // Addresses that cannot be bound at the same time.
    const everywhere = await admin.prepare(on(next, '0.0.0.0'))
    await everywhere.discard()
    assert.equal((await ask(next, '/healthz')).status, 200)
    await admin.open(on(next, '0.0.0.0'))
    assert.equal((await ask(next, '/healthz')).status, 200)
    await assert.rejects(admin.prepare(on(next, '192.0.2.1')), /cannot listen on 192\.0\.2\.1/)
    assert.equal((await ask(next, '/healthz')).status, 200)

    await admin.open(null)
    await assert.rejects(ask(next, '/healthz'), /ECONNREFUSED|refused|connect/i)
  })

  it('says that it is starting before, and draining while what is under way ends', async () => {
    const value = { listen: [{ port: 0, address: '127.0.0.1' }], sites: local, state: temporaryFolder() }
    const { config } = await loadConfig({ value })
    const gateway = new Gateway(config, { selfTested: true, out: () => {} })
    const admin = new Admin(gateway)
    await admin.open(loopback)
    closers.push(() => admin.close())
    const at = admin.port as number
    assert.deepEqual(
      [(await ask(at, '/readyz')).body, (await ask(at, '/healthz')).status],
      ['not ready\nstarting\n', 200],
    )
    await scrape(at)
    await gateway.start()
    await statusUntil(at, 200)
    const client = await rawTls(gateway.ports[0] as number)
    // A head that is not whole: what is answered at once could be over before the scrape.
    client.send('GET / HTTP/1.1\r\nHost: localhost\r\n')
    await scrapeUntil(at, each => each.value('sallyport_connections_open') === 1)
    const drained = gateway.drain(2_000)
    assert.equal((await statusUntil(at, 503)).body, 'not ready\ndraining\n')
    await scrapeUntil(at, each => each.value('sallyport_draining') === 1)
    client.destroy()
    await drained
  })

  it('is not opened by createGateway, which says so', async () => {
    const config = { listen: [{ port: 0 }], sites: local, admin: { listen: { port: 0 } } }
    await assert.rejects(createGateway(config), /admin: is opened by sallyport run; here, .*new Admin\(gateway\)/)
  })
})

function run(
  file: string,
  workers: number,
): { child: ChildProcess; ready: Promise<void>; ended: Promise<number | null> } {
  const words = [main, 'run', '-c', file, '--workers', String(workers)]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] })
  return { child, ready: readyOf(child), ended: new Promise(resolve => child.on('close', resolve)) }
}

describe('of two workers', () => {
  it('the first answers for both, leaves out one that hangs, and moves with a reload', async () => {
    const [port, first, second] = [await freePort(), await freePort(), await freePort()]
    const folder = temporaryFolder()
    const state = path.join(folder, 'state')
    const file = path.join(folder, 'sallyport.json')
    const write = (at: number, more: object = {}) =>
      writeFileSync(
        file,
        JSON.stringify({
          listen: [{ port, address: '127.0.0.1' }],
          admin: { listen: { port: at } },
          state,
          sites: local,
          ...more,
        }),
      )
    write(first)
    const gateway = run(file, 2)
    closers.push(() => gateway.child.kill('SIGKILL'))
    await gateway.ready
    const clients = await Promise.all(Array.from({ length: 12 }, () => rawTls(port)))
    const both = await scrapeUntil(first, each => sum(each, 'sallyport_connections_open') === 12)
    assert.equal(both.value('sallyport_workers'), 2)
    const page = readFileSync(path.join(import.meta.dirname, '../../docs/metrics.md'), 'utf8')
    for (const name of both.types.keys())
      assert.ok(page.includes(`| \`${name}\` |`), `docs/metrics.md has no ${name}`)
    assert.equal(both.value('sallyport_workers_unreachable'), 0)
    assert.equal(sum(both, 'sallyport_connections_accepted_total'), 12)
    assert.deepEqual(
      both.all('sallyport_draining').map(each => each.labels['worker']),
      ['1', '2'],
    )
    // Prometheus' own judge, where it is installed; the strict reader of the harness has read the page already.
    const judged = spawnSync('promtool', ['check', 'metrics'], { input: (await ask(first, '/metrics')).body })
    if (judged.error === undefined) assert.equal(`${judged.stdout}${judged.stderr}`, '')
    // The first has its own and no more: the sum is of two processes.
    const processes = await askGateway(state, metrics, null)
    assert.ok(processes.length === 2 && processes.every(isProcessMetrics))
    for (const { worker, families } of processes) {
      const accepted = families.find(({ name }) => name === 'sallyport_connections_accepted_total')
      const shown = both.value('sallyport_connections_accepted_total', { worker: String(worker) })
      assert.equal(shown, accepted?.samples[0]?.value)
    }

    const { pid } = processes.find(each => each.worker === 2) as ProcessMetrics
    process.kill(pid, 'SIGSTOP')
    try {
      const alone = await scrapeUntil(first, each => each.value('sallyport_workers_unreachable') === 1)
      assert.equal(alone.all('sallyport_connections_open').length, 1)
      assert.equal((await ask(first, '/readyz')).status, 200)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await scrapeUntil(first, each => each.value('sallyport_workers_unreachable') === 0)

    write(first, { nonsense: 1 })
    gateway.child.kill('SIGHUP')
    const failed = await scrapeUntil(first, each => sum(each, 'sallyport_last_reload_failed') === 2)
    assert.equal(sum(failed, 'sallyport_reloads_total', { outcome: 'failed' }), 2)
    // A reload that takes a moment, for it opens a storage. Several at the same time do not fight for the new address.
    const acme = { directory: `https://127.0.0.1:${await freePort()}/directory`, email: 'ops@example.test' }
    write(second, { acme, sites: [...local, { host: 'ordered.test', certificate: 'acme', routes }] })
    const reloadOnce = () => askGateway(state, reload, null)
    for (const reloaded of await Promise.all(Array.from({ length: 8 }, reloadOnce)))
      assert.deepEqual(reloaded, { reloaded: true })
    const moved = await scrapeUntil(
      second,
      each => sum(each, 'sallyport_reloads_total', { outcome: 'done' }) === 16,
    )
    assert.equal(sum(moved, 'sallyport_last_reload_failed'), 0)
    await assert.rejects(ask(first, '/healthz'))
    // One that was killed is replaced, and counts from zero under the same number.
    process.kill(pid, 'SIGKILL')
    const again = await scrapeUntil(
      second,
      each =>
        each.value('sallyport_workers_unreachable') === 0 &&
        each.value('sallyport_snapshot_version', { worker: '2' }) === 1,
    )
    assert.equal(again.value('sallyport_connections_open', { worker: '2' }), 0)
    for (const client of clients) client.destroy()
    gateway.child.kill('SIGTERM')
    assert.equal(await gateway.ended, 0)
  })
})
