/**
 * Lines of the access log by template: what nginx writes with `combined`, with everything from the network bounded and escaped, and
 * without the secrets that queries have.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LineClock, localText } from '../../src/base/line-clock.ts'
import { createLog } from '../../src/base/log.ts'
import { accessFormat } from '../../src/config/access-format.ts'
import type { RequestRecord } from '../../src/model/records.ts'
import { compileLine, type LineFormat } from '../../src/observe/access/format.ts'
import { shownQuery } from '../../src/observe/access/redact.ts'
import { logVariables } from '../../src/observe/access/values.ts'
import { accessLog } from '../../src/observe/access-log.ts'
import { parseTraceParent } from '../../src/wire/trace-parent.ts'

const record = (more: object = {}): RequestRecord => {
  const all = {
    id: 'abc-1',
    connection: {
      clientAddress: '192.0.2.7',
      clientPort: 5_000,
      serverPort: 8443,
      cloud: null,
      secure: true,
      serverName: 'a.test',
      identity: null,
      fingerprint: null,
      group: 'X25519',
      link: { tls: { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', alpn: 'h2', resumed: false } },
    },
    head: { method: 'GET', version: 1, minor: 1, fields: { sent: '' } },
    host: 'a.test',
    path: '/x',
    query: '',
    forwardPath: '/y',
    forwardQuery: '',
    status: 200,
    bytesIn: 3,
    bytesOut: 60,
    startedAt: 1_000,
    sentAt: 1_000.25,
    headAt: 1_010.5,
    endedAt: 1_011,
    site: { name: 'a.test' },
    route: { name: 'a.test/*' },
    unlogged: false,
    attempts: { count: 1, endpoint: { label: '10.0.0.1:80' }, upstreamName: 'u' },
    errorCode: null,
    errorWhy: null,
    ...more,
  }
  return { client: all.connection, ...all } as unknown as RequestRecord
}

const withFields = (sent: string) => record({ head: { method: 'GET', version: 1, minor: 1, fields: { sent } } })

function formatOf(text: string): LineFormat {
  const formed = accessFormat(text)
  if (!('ok' in formed)) throw new Error(formed.wrong)
  return formed.ok
}

function lineOf(text: string, of: RequestRecord, query = shownQuery('redacted', [])): string {
  const format = formatOf(text)
  assert.ok(format.kind === 'line')
  return compileLine(format.parts, { query, clock: new LineClock() })(of)
}

const time = String.raw`\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]`

describe('combined and common', () => {
  it('have the fields that nginx writes', () => {
    const of = withFields('user-agent: curl/8.1\r\nReferer: https://b.test/p?q=1\r\n')
    const before = String.raw`^192\.0\.2\.7 - - ${time} "GET /x HTTP/1\.1" 200 60`
    assert.match(lineOf('common', of), new RegExp(`${before}\n$`))
    assert.match(lineOf('combined', of), new RegExp(`${before} "https://b\\.test/p\\?q=1" "curl/8\\.1"\n$`))
  })

  it('have a dash for what is not there, and for a request that could not be read', () => {
    assert.match(lineOf('combined', record()), / 200 60 "-" "-"\n$/)
    let written = ''
    const observer = accessLog(quiet, { ...terms, format: formatOf('combined') }, line => void (written += line))
    observer.refusedRequest?.({
      id: 'r-1',
      connection: record().connection,
      http: 1,
      status: 400,
      error: 'BAD_REQUEST',
      why: 'no',
      afterDone: false,
    })
    assert.match(written, /^192\.0\.2\.7 - - \[.*\] "- - HTTP\/1\.1" 400 0 "-" "-"\n$/)
  })

  it('have the client that a trusted proxy names', () => {
    const client = { clientAddress: '203.0.113.9', clientPort: 0, secure: false }
    assert.equal(
      lineOf('{client.address} {client.peer} {request.scheme}', record({ client })),
      '203.0.113.9 192.0.2.7 http\n',
    )
  })

  it('say which version the client spoke', () => {
    const version = (version: number, minor: number) =>
      lineOf('{request.version}', record({ head: { method: 'GET', version, minor, fields: { sent: '' } } }))
    assert.deepEqual([version(1, 0), version(1, 1), version(2, 0)], ['HTTP/1.0\n', 'HTTP/1.1\n', 'HTTP/2.0\n'])
  })
})

const quiet = createLog({ level: 'error', format: 'json', out: () => {} })
const terms = { fields: [], query: 'redacted', redact: [], samplePercent: 100 } as const

describe('a value from the network', () => {
  const hostile: Readonly<Record<string, string>> = {
    'a"b': String.raw`a\x22b`,
    'a\\b': String.raw`a\x5Cb`,
    'tab\tend': String.raw`tab\x09end`,
    '\u001b[2J': String.raw`\x1B[2J`,
    '\u0085\u009b': String.raw`\x85\x9B`,
    // U+202E, right-to-left override, as the bytes of UTF-8 that a field has
    '\u00e2\u0080\u00ae': String.raw`\xE2\x80\xAE`,
    '\u202e': String.raw`\xE2\x80\xAE`,
    '\u{1f600}': String.raw`\xF0\x9F\x98\x80`,
    '\ud800': String.raw`\xEF\xBF\xBD`,
  }
  for (const [text, escaped] of Object.entries(hostile)) {
    it(`is escaped: ${JSON.stringify(text)}`, () => {
      assert.equal(lineOf('"{request.userAgent}"', withFields(`user-agent: ${text}\r\n`)), `"${escaped}"\n`)
      assert.equal(
        lineOf('{client.subject}', record({ connection: { cloud: null, identity: { subject: text } } })),
        `${escaped}\n`,
      )
    })
  }

  it('is cut at its bound, whichever it is', () => {
    const long = 'x'.repeat(20_000)
    const of = record({
      id: long,
      host: long,
      path: `/${long}`,
      query: `?${long}`,
      forwardPath: `/${long}`,
      errorWhy: long,
      route: { name: long },
      site: { name: long },
      head: {
        method: long,
        version: 1,
        minor: 1,
        fields: { sent: `user-agent: ${long}\r\nreferer: ${long}\r\nx: ${long}\r\n` },
      },
      attempts: { count: 1, endpoint: { label: long }, upstreamName: long },
    })
    for (const name of [...Object.keys(logVariables), 'request.header.x']) {
      const line = lineOf(`{${name}}`, of)
      assert.ok(line.length < 2_100, `${name}: ${line.length}`)
    }
    const escapes = '"'.repeat(20_000)
    assert.ok(lineOf('{request.userAgent}', withFields(`user-agent: ${escapes}\r\n`)).length < 4 * 1_024 + 50)
  })

  it('ends no line, whatever the template', () => {
    const all = Object.keys(logVariables).map(name => `{${name}}`)
    const of = record({ path: '/\r\nGET', query: '?\n', host: '\n', errorWhy: '\r\n', id: '\n' })
    assert.equal(lineOf(all.join(' '), of).split('\n').length, 2)
  })
})

describe('a template', () => {
  it('has values, text and braces', () => {
    assert.equal(lineOf('{{{request.method}}} {response.status} {ms.total}', record()), '{GET} 200 11.000\n')
    assert.equal(lineOf('{forward.path} {upstream.endpoint} {tls.version}', record()), '/y 10.0.0.1:80 TLSv1.3\n')
    assert.equal(lineOf('{request.header.X-Team}', withFields('x-team: a b\r\n')), 'a b\n')
  })

  it('is refused with what is wrong', () => {
    const wrong = (text: string) => {
      const formed = accessFormat(text)
      return 'wrong' in formed ? `${formed.wrong}; ${formed.hint ?? ''}` : 'fine'
    }
    assert.match(wrong('combind'), /not a format.*did you mean combined/)
    assert.match(wrong('{request.useragent}'), /not a value.*did you mean request\.userAgent/)
    assert.match(wrong('{request.method'), /without its counterpart/)
    assert.match(wrong('a } {request.method}'), /without its counterpart/)
    assert.match(wrong('{request.method}\n'), /control characters/)
    assert.match(wrong(`{request.method}${'x'.repeat(5_000)}`), /at most 4096/)
    for (const name of ['Authorization', 'cookie', 'Proxy-Authorization'])
      assert.match(wrong(`{request.header.${name}}`), /credentials/)
    assert.match(wrong('{toString}'), /not a value/)
  })
})

describe('a query', () => {
  const shown = shownQuery('redacted', ['iban', 'E-Mail'])
  const secrets = [
    'token',
    'TOKEN',
    'access_token',
    'accessToken',
    'id_token',
    'refresh-token',
    'key',
    'api_key',
    'apikey',
    'apiKey',
    'KEY',
    'password',
    'passwd',
    'pwd',
    'code',
    'auth_code',
    'authCode',
    'secret',
    'client_secret',
    'signature',
    'sig',
    'X-Amz-Signature',
    'X-Amz-Security-Token',
    'X-Goog-Credential',
    'session',
    'sid',
    'jwt',
    '%74oken',
    'to%6ben',
    '%54%4F%4B%45%4E',
    'token[]',
    'token%5B0%5D',
    'user[password]',
    'iban',
    'IBAN',
    'e%2Dmail',
    '%2574oken',
    'SAMLResponse',
    'oauth_verifier',
  ]
  for (const name of secrets)
    it(`has no value of ${name}`, () => {
      assert.equal(shown(`?a=1&${name}=s3cret&b=2`), `?a=1&${name}=***&b=2`)
      assert.equal(shown(`?${name}=s3cret`), `?${name}=***`)
      assert.equal(shown(`?${name}=s3=cr=et`), `?${name}=***`)
    })

  it('keeps what is no secret', () => {
    for (const query of [
      '',
      '?',
      '?a=1&b=2',
      '?keyword=x',
      '?postcode=1',
      '?monkey=1',
      '?token',
      '?a&b',
      '?=1',
      '?%zz=1',
      '?sort=key',
    ])
      assert.equal(shown(query), query)
  })

  it('ends a parameter where servers end it', () => {
    assert.equal(shown('?a=1;token=x;b=2'), '?a=1;token=***;b=2')
    assert.equal(shown('?next=/p?token=x&b=2'), '?next=/p?token=***&b=2')
    assert.equal(shown('?token=a&token=b'), '?token=***&token=***')
    assert.equal(shown('?token=&b=2'), '?token=***&b=2')
  })

  it('is redacted in the referer, too, and can be left out or shown', () => {
    const of = withFields('referer: https://b.test/cb?code=abc&x=1\r\n')
    assert.equal(lineOf('{request.referer}', of), 'https://b.test/cb?code=***&x=1\n')
    assert.equal(lineOf('{request.referer}', of, shownQuery('none', [])), 'https://b.test/cb\n')
    assert.equal(lineOf('{request.referer}', of, shownQuery('all', [])), 'https://b.test/cb?code=abc&x=1\n')
    const own = record({ query: '?token=1', forwardQuery: '?token=1' })
    assert.equal(lineOf('{request.line} {forward.path}', own), 'GET /x?token=*** HTTP/1.1 /y?token=***\n')
  })

  it('is redacted with `access: true`', () => {
    let written = ''
    const log = createLog({ level: 'error', format: 'json', out: text => void (written += text) })
    accessLog(log).request?.(record({ query: '?q=1&access_token=s3cret' }))
    log.flush()
    assert.equal(JSON.parse(written).path, '/x?q=1&access_token=***')
  })
})

describe('added fields of JSON', () => {
  const lines = (fields: readonly ('userAgent' | 'referer' | 'forwardedPath' | 'trace')[], of: RequestRecord) => {
    let written = ''
    accessLog(quiet, { ...terms, format: { kind: 'json' }, fields }, line => void (written += line)).request?.(of)
    assert.equal(written.split('\n').length, 2)
    return JSON.parse(written)
  }

  it('are there where they are asked for', () => {
    const trace = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const of = withFields(
      `user-agent: "\u0000\u202e\r\nreferer: https://b.test/?token=1\r\ntraceparent: ${trace}\r\n`,
    )
    const all = lines(['userAgent', 'referer', 'forwardedPath', 'trace'], of)
    assert.equal(all.userAgent, '"\u0000\u202e')
    assert.equal(all.referer, 'https://b.test/?token=***')
    assert.equal(all.forwardedPath, '/y')
    assert.deepEqual(all.trace, { id: 'a'.repeat(32), parent: 'b'.repeat(16) })
    assert.equal(all.message, 'request')
    assert.ok(!('userAgent' in lines([], of)))
  })

  it('are null where there are none', () => {
    const all = lines(['userAgent', 'referer', 'forwardedPath', 'trace'], record({ forwardPath: '' }))
    assert.deepEqual([all.userAgent, all.referer, all.forwardedPath, all.trace], [null, null, null, null])
  })
})

it('traceparent is read by its rules', () => {
  const [id, parent] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']
  const good = { traceId: id, parentId: parent }
  assert.deepEqual(parseTraceParent(`00-${id}-${parent}-01`), good)
  assert.deepEqual(parseTraceParent(`cc-${id}-${parent}-01-what-the-future-has`), good)
  for (const bad of [
    '',
    `00-${id}-${parent}`,
    `00-${id}-${parent}-01-more`,
    `ff-${id}-${parent}-01`,
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${id}-${'0'.repeat(16)}-01`,
    `00-${id.toUpperCase()}-${parent}-01`,
    `00-${id}-${parent}-01 `,
    `cc-${id}-${parent}-01-${'x'.repeat(600)}`,
  ])
    assert.equal(parseTraceParent(bad), null, bad)
})

it('a sample has all that failed, and about the share of the others', () => {
  let lines = 0
  const observer = accessLog(quiet, { ...terms, format: { kind: 'json' }, samplePercent: 0 }, () => void lines++)
  for (let at = 0; at < 100; at++) observer.request?.(record())
  assert.equal(lines, 0)
  observer.request?.(record({ status: 502 }))
  observer.request?.(record({ status: 0, errorCode: 'CLIENT_GONE' }))
  assert.equal(lines, 2)
  const half = accessLog(quiet, { ...terms, format: { kind: 'json' }, samplePercent: 50 }, () => void lines++)
  for (let at = 0; at < 10_000; at++) half.request?.(record())
  assert.ok(lines > 4_000 && lines < 6_000, `${lines}`)
})

it('the time of the Common Log Format is local, with its zone', () => {
  const date = new Date(2026, 10, 8, 3, 4, 5)
  assert.match(localText(date), /^08\/Nov\/2026:03:04:05 [+-]\d{4}$/)
  const zoned = Object.assign(new Date(0), { getTimezoneOffset: () => -345 })
  assert.match(localText(zoned), / \+0545$/)
  assert.match(localText(Object.assign(new Date(0), { getTimezoneOffset: () => 210 })), / -0330$/)
})
