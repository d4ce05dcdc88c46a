/** A program observes a gateway that it runs: what each kind of record holds, with the access log off, and over a reload. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import type { CertificateRecord, ConnectionRecord, FailedHandshake, Observer } from '../../src/index.ts'
import { issueFiles, testCa } from '../harness/certificates.ts'
import { startGateway } from '../harness/gateway.ts'
import { rawTls } from '../harness/raw.ts'

const closers: (() => unknown)[] = []
after(async () => {
  for (const close of closers.reverse()) await close()
})

/** Waits for a record of one kind after another. */
function inbox<T>() {
  const arrived: T[] = []
  const waiting: ((record: T) => void)[] = []
  return {
    put(record: T) {
      const wanted = waiting.shift()
      if (wanted === undefined) arrived.push(record)
      else wanted(record)
    },
    next: (): Promise<T> => {
      const record = arrived.shift()
      return record === undefined ? new Promise(resolve => waiting.push(resolve)) : Promise.resolve(record)
    },
  }
}

test('requests, handshakes, connections, certificates and faults are observed, whatever an observer throws', async () => {
  const backend = http.createServer((_request, response) => response.end('from the backend'))
  await new Promise<void>(resolve => backend.listen(0, '127.0.0.1', resolve))
  closers.push(() => backend.close())
  const backendPort = (backend.address() as AddressInfo).port
  const files = issueFiles(testCa(), ['files.test'])
  const tcp = issueFiles(testCa(), ['tcp.test'])
  const requests = inbox<Record<string, unknown>>()
  const refused = inbox<string>()
  const handshakes = inbox<string>()
  const failed = inbox<FailedHandshake>()
  const connections = inbox<ConnectionRecord>()
  const certificates = inbox<CertificateRecord>()
  const faults = inbox<string>()
  const observer: Observer = {
    name: 'test',
    request({ id, connection, head, host, path, query, status, bytesOut, site, route, attempts, ...more }) {
      const { startedAt, sentAt, headAt, endedAt } = more
      requests.put({
        client: connection.clientAddress,
        ja4: typeof connection.fingerprint?.ja4,
        what: `${head.method} ${host} ${path}${query} HTTP/${head.version}`,
        answer: `${status} ${bytesOut}`,
        by: `${site?.name} ${route?.name} ${attempts.endpoint?.label}`,
        error: more.errorCode,
        ordered: startedAt <= sentAt && sentAt <= headAt && headAt <= endedAt && startedAt > 0,
        id: /^[0-9a-f]+-[0-9a-z]+$/.test(id),
      })
    },
    refusedRequest: ({ error, status, http: version }) => refused.put(`${error} ${status} HTTP/${version}`),
    handshake: ({ link, serverName }) => handshakes.put(`${serverName} ${link.tls?.version}`),
    failedHandshake: record => failed.put(record),
    connection: record => connections.put(record),
    certificate: record => certificates.put(record),
    fault: ({ where }) => faults.put(where),
  }
  const throwing: Observer = {
    name: 'throwing',
    request() {
      throw new Error('an observer has failed')
    },
  }
  const pair = (of: typeof files) => ({ chain: of.chainFile, key: of.keyFile })
  const sites = [
    { host: 'files.test', certificate: pair(files), routes: [{ to: `http://127.0.0.1:${backendPort}` }] },
    { host: 'tcp.test', certificate: pair(tcp), tcp: { to: `127.0.0.1:${backendPort}` } },
  ]
  const log = { access: false }
  const { gateway, port, stop } = await startGateway({ sites, log }, { observers: [throwing, observer] })
  closers.push(stop)

  const client = await rawTls(port, { servername: 'files.test' })
  assert.equal(await handshakes.next(), 'files.test TLSv1.3')
  const served = {
    client: '127.0.0.1',
    ja4: 'string',
    what: 'GET files.test /a/c?d HTTP/1',
    answer: '200 16',
    by: `files.test files.test/ 127.0.0.1:${backendPort}`,
    error: null,
    ordered: true,
    id: true,
  }
  client.send('GET /a/b/../c?d HTTP/1.1\r\nHost: files.test\r\n\r\n')
  const first = await requests.next()
  assert.deepEqual({ ...first, by: '' }, { ...served, by: '' })
  assert.match(String(first['by']), new RegExp(`^files\\.test .+ 127\\.0\\.0\\.1:${backendPort}$`))
  assert.equal(await faults.next(), 'observer throwing')

  const value = { listen: [{ port, address: '127.0.0.1' }], sites, log, state: gateway.config.state }
  await gateway.reload(value)
  client.send('GET /again HTTP/1.1\r\nHost: files.test\r\n\r\n')
  assert.equal((await requests.next())['what'], 'GET files.test /again HTTP/1')
  // A host that no site has: the site of the request before is not that of this one.
  client.send('GET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n')
  const misdirected = await requests.next()
  assert.match(String(misdirected['by']), /^undefined undefined undefined$/)
  assert.notEqual(misdirected['error'], null)
  client.destroy()

  const bad = await rawTls(port, { servername: 'files.test' })
  bad.send('nonsense\r\n\r\n')
  assert.equal(await refused.next(), 'BAD_REQUEST 400 HTTP/1')
  await bad.closed()

  await assert.rejects(rawTls(port, { servername: 'nobody.test' }))
  const { error, sni, alert, alertFrom, client: from, offered } = await failed.next()
  assert.deepEqual(
    [error, sni, alert, alertFrom, from],
    ['TLS_UNKNOWN_NAME', 'nobody.test', 'unrecognized_name', 'gateway', '127.0.0.1'],
  )
  assert.match(String(offered.ja4), /^t13/)

  const raw = await rawTls(port, { servername: 'tcp.test' })
  raw.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await raw.closed()
  const carried = await connections.next()
  assert.deepEqual([carried.kind, carried.site.name, carried.bytesIn], ['tcp', 'tcp.test', 46])
  assert.ok(carried.bytesOut > 100)

  const renewed = issueFiles(testCa(), ['files.test'], { days: 77 })
  writeFileSync(files.keyFile, renewed.keyPem)
  writeFileSync(files.chainFile, renewed.chainPem)
  let swap = await certificates.next()
  // The two files are written one after the other, and may be looked at in between.
  while (swap.kind !== 'replaced') swap = await certificates.next()
  assert.deepEqual([swap.source, swap.names], [files.chainFile, ['files.test']])
  assert.ok((swap.notAfter ?? 0) > Date.now() + 76 * 86_400_000)
})
