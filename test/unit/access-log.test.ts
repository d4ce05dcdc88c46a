/**
 * The access log's line of a request, which is written field by field: the same JSON as of an object with these fields, in
 * this order, for whatever clients send; within its bounds; and the same fields in the text form.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '../../src/base/log.ts'
import { cut, visible } from '../../src/base/visible.ts'
import type { ObservedConnection, RequestRecord } from '../../src/model/records.ts'
import { accessLog, millisText, requestJson } from '../../src/observe/access-log.ts'
import { until } from '../harness/until.ts'

const plainConnection = {
  clientAddress: '2001:db8::1',
  serverPort: 8080,
  cloud: null,
  secure: false,
  handshakeMs: 0,
  link: { tls: null },
  logText: null,
} as unknown as ObservedConnection

const secureConnection = (more: object = {}): ObservedConnection =>
  ({
    ...plainConnection,
    secure: true,
    serverName: 'a.test',
    identity: null,
    fingerprint: { ja4: 't13d1516h2_8daaf6152771_02713d6af862', ja3: 'cd08e31494f9531f560d64c695473da9' },
    group: 'X25519MLKEM768',
    handshakeMs: 1.23456,
    link: { tls: { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', alpn: 'h2', resumed: true } },
    ...more,
  }) as unknown as ObservedConnection

const record = (more: object = {}): RequestRecord => {
  const made = {
    id: 'abc-1',
    connection: secureConnection(),
    head: { method: 'GET', version: 2 },
    host: 'a.test',
    path: '/x',
    query: '?y=1',
    status: 200,
    bytesIn: 3,
    bytesOut: 60,
    startedAt: 1_000,
    sentAt: 1_000.25,
    headAt: 1_010.5,
    endedAt: 1_011,
    site: { name: 'a.test' },
    route: { name: 'a.test /' },
    attempts: { count: 1, endpoint: { label: '10.0.0.1:80' }, upstreamName: 'u' },
    errorCode: null,
    errorWhy: null,
    ...more,
  }
  return { client: made.connection, ...made } as unknown as RequestRecord
}

/** What is to be in a line: the fields of docs/observability.md, in their order. */
function fieldsOf(of: RequestRecord) {
  const { connection, client, startedAt, sentAt, headAt, endedAt } = of
  const ms = (from: number, to: number) => (from === 0 || to === 0 ? null : Math.round((to - from) * 1000) / 1000)
  const settled = connection.link.tls
  return {
    id: of.id,
    client: client.clientAddress,
    ...(client === connection ? {} : { peer: connection.clientAddress }),
    port: connection.serverPort,
    http: of.head.version,
    method: of.head.method,
    host: cut(of.host, 1_024),
    path: cut(of.path + of.query, 2_048),
    status: of.status,
    bytesIn: of.bytesIn,
    bytesOut: of.bytesOut,
    ms: {
      handshake: Math.round(connection.handshakeMs * 1000) / 1000,
      connect: ms(startedAt, sentAt),
      response: ms(sentAt, headAt),
      total: ms(startedAt, endedAt),
    },
    tls: settled && {
      version: settled.version,
      cipher: settled.cipher,
      group: connection.group,
      alpn: settled.alpn,
      resumed: settled.resumed,
      sni: connection.serverName,
      ...connection.fingerprint,
      ...(connection.identity === null ? {} : { client: cut(connection.identity.subject, 1_024) }),
    },
    route: of.route?.name ?? null,
    endpoint: of.attempts.endpoint?.label ?? null,
    attempts: of.attempts.count,
    error: of.errorCode,
    why: of.errorWhy === null ? null : cut(of.errorWhy, 1_024),
  }
}

const hostile = [
  '"',
  '\\',
  '\\"},"status":200,"x":{"',
  '\r\n{"level":"error"}',
  '\u0000\u001b[2J\u007f\u009b',
  '\u202e\u200f',
  '\u2028\u2029',
  'caf\u00e9 \u6f22 \u{1f600}',
  '\ud800',
  '__proto__',
]

const records: Readonly<Record<string, RequestRecord>> = {
  'over TLS': record(),
  'in cleartext, of no site, with nothing but an error': record({
    connection: { ...plainConnection },
    site: null,
    route: null,
    status: 0,
    sentAt: 0,
    headAt: 0,
    attempts: { count: 0, endpoint: null, upstreamName: null },
    errorCode: 'CLIENT_GONE',
    errorWhy: 'the client closed its connection',
  }),
  'of a client that a trusted proxy names': record({ client: { clientAddress: '192.0.2.7' } }),
  'that began while nobody listened': record({ startedAt: 0, sentAt: 0, headAt: 0, endedAt: 0 }),
  'of a client with a certificate, without fingerprint or name': record({
    connection: secureConnection({
      fingerprint: null,
      serverName: null,
      identity: { subject: 'CN="x",O=\u0000y' },
    }),
  }),
  'with everything too long': record({
    connection: secureConnection({ identity: { subject: 's'.repeat(5_000) } }),
    host: 'h'.repeat(3_000),
    path: `/${'p'.repeat(3_000)}`,
    query: `?${'\u{1f600}'.repeat(2_000)}`,
    errorWhy: 'w'.repeat(3_000),
  }),
  ...Object.fromEntries(
    hostile.map(text => [
      `of ${JSON.stringify(text)}`,
      record({
        head: { method: text, version: 1 },
        host: text,
        path: `/${text}`,
        query: `?${text}`,
        route: { name: text },
        errorCode: 'BAD_REQUEST',
        errorWhy: text,
      }),
    ]),
  ),
}

for (const [name, of] of Object.entries(records)) {
  test(`the line of a request ${name}`, () => {
    for (const _ of ['its connection is new to the log', 'its connection is known']) {
      const members = requestJson(of)
      assert.deepEqual(JSON.parse(`{${members}}`), JSON.parse(JSON.stringify(fieldsOf(of))))
      // Nothing that a terminal acts on, and one line; what is plain ASCII is byte for byte what JSON.stringify writes.
      assert.equal(visible(members), members)
      if (/^[\x20-\x7e]*$/.test(JSON.stringify(fieldsOf(of))))
        assert.equal(`{${members}}`, JSON.stringify(fieldsOf(of)))
    }
  })
}

test('the text form has the fields of the line, each cut once', () => {
  let written = ''
  const log = createLog({ level: 'error', format: 'text', out: text => void (written += text) })
  accessLog(log).request?.(record({ path: `/${'p'.repeat(3_000)}`, query: '' }))
  log.flush()
  assert.match(written, /^\d\d:\d\d:\d\d\.\d{3} info {2}request id=abc-1 client="?2001:db8::1"? port=8080 http=2 /)
  assert.match(written, / path="\/p{2047}\.\.\. \(953 more characters\)" status=200 /)
})

test('access records are gathered with other lines in their order, and all are written', async () => {
  let written = ''
  const log = createLog({ level: 'info', format: 'json', out: text => void (written += text) })
  let wanted = ''
  for (let at = 0; at < 3_000; at++) {
    log.line(`${at}\n`)
    wanted += `${at}\n`
    if (at % 500 === 499) await new Promise(resolve => setImmediate(resolve))
  }
  const records = () =>
    written
      .split('\n')
      .filter(line => !line.startsWith('{'))
      .join('\n')
  log.write('info', 'a line that waits for nothing')
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(records(), wanted)
  log.line('last\n')
  await until(() => records() === `${wanted}last\n`)
})

test('a connection whose requests differ has the fields of each', () => {
  const connection = secureConnection()
  const all = [
    record({ connection }),
    record({ connection, host: 'b.test' }),
    record({ connection, head: { method: 'POST', version: 2 } }),
    record({ connection, attempts: { count: 2, endpoint: { label: '10.0.0.2:80' }, upstreamName: 'u' } }),
    record({ connection, attempts: { count: 2, endpoint: null, upstreamName: null } }),
    record({ connection, route: null }),
    record({ connection, errorCode: 'CLIENT_GONE', errorWhy: 'gone' }),
    record({ connection, errorCode: 'CLIENT_GONE' }),
    record({ connection }),
  ]
  for (const of of [...all, ...all.toReversed()])
    assert.deepEqual(JSON.parse(`{${requestJson(of)}}`), JSON.parse(JSON.stringify(fieldsOf(of))))
})

test('milliseconds are written as JSON writes them', () => {
  const numbers = [
    0, 0.0004, 0.0005, 0.001, 0.01, 0.1, 0.999, 0.9996, 1, 1.5, 12.34, 99.0999, 1e3, 123_456.789, 1e9,
  ]
  for (let at = 0; at < 5_000; at++) numbers.push(at / 997, at * 1.000_1)
  for (const ms of numbers) assert.equal(millisText(ms), JSON.stringify(Math.round(ms * 1000) / 1000), String(ms))
})
