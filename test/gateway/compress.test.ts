/** Which answers are compressed, for which clients, and what becomes of their fields: over both versions of HTTP. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import type { SiteInput } from '../../src/config/config.ts'
import { type Ask, ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import type { Pairs } from '../harness/h2.ts'
import { type RecordingBackend, recordingBackend } from '../harness/raw.ts'

const json = JSON.stringify(
  Array.from({ length: 200 }, (_, id) => ({ id, name: `customer ${id}`, active: id % 3 === 0 })),
)
const big = json.repeat(30)
const gzip: Pairs = [['accept-encoding', 'gzip']]
const decoders = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync } as const
const decode = (coding: string, body: string): string =>
  decoders[coding as keyof typeof decoders](Buffer.from(body, 'latin1')).toString('latin1')

type Case = {
  /** What the backend answers: lines of its head, and how its body comes */
  readonly answer?: readonly string[]
  readonly status?: string
  readonly body?: string
  readonly framing?: 'length' | 'chunked' | 'none'
  readonly ask?: Ask
  readonly site?: SiteInput['compress']
  /** Null: as it was */
  readonly coding?: 'gzip' | 'br' | 'zstd' | null
  readonly fields?: Readonly<Record<string, string | null>>
  readonly trailers?: Pairs
}

const type = 'Content-Type: application/json'
const vary = 'accept-encoding'
const compressedLength = 'that of the compressed body'
const left = (answer: readonly string[], more: Partial<Case> = {}): Case => ({ answer, coding: null, ...more })

const cases: Record<string, Case> = {
  'a body of known length': { fields: { vary, 'content-length': compressedLength } },
  'a body in pieces': { framing: 'chunked', fields: { vary } },
  'a body of unknown length, with trailers': {
    framing: 'chunked',
    ask: { path: '/trailers', fields: gzip },
    trailers: [['x-sum', '1']],
  },
  'a body over 64 kB': { body: big, fields: { 'content-length': null } },
  'a body over 64 kB in pieces': { body: big, framing: 'chunked' },
  'a body over 64 kB, with trailers': {
    body: big,
    framing: 'chunked',
    ask: { path: '/trailers', fields: gzip },
    trailers: [['x-sum', '1']],
  },
  'the coding that the client likes best': {
    ask: { fields: [['accept-encoding', 'gzip;q=0.5, br;q=0.8, zstd;q=0.1']] },
    coding: 'br',
  },
  'the first of the configuration': { ask: { fields: [['accept-encoding', 'gzip, br, zstd']] }, coding: 'zstd' },
  'a stream by br': { ask: { fields: [['accept-encoding', 'br']] }, body: big, coding: 'br' },
  'a stream by zstd': { ask: { fields: [['accept-encoding', 'zstd']] }, body: big, coding: 'zstd' },
  'Accept-Encoding in several fields': {
    ask: {
      fields: [
        ['accept-encoding', 'br;q=0'],
        ['accept-encoding', 'gzip'],
      ],
    },
  },
  'an error of the backend': { status: '500 Oh', fields: { vary } },
  'a strong tag becomes weak': { answer: [type, 'ETag: "x"'], fields: { etag: 'W/"x"' } },
  'a weak tag stays': { answer: [type, 'ETag: W/"x"'], fields: { etag: 'W/"x"' } },
  'what is no tag goes': { answer: [type, 'ETag: x'], fields: { etag: null } },
  'Accept-Ranges goes': { answer: [type, 'Accept-Ranges: bytes'], fields: { 'accept-ranges': null } },
  'Vary is added to': { answer: [type, 'Vary: Origin'], fields: { vary: 'Origin, accept-encoding' } },
  'Vary stays where it says so': {
    answer: [type, 'Vary: Origin, Accept-Encoding'],
    fields: { vary: 'Origin, Accept-Encoding' },
  },
  'Vary: *': { answer: [type, 'Vary: *'], fields: { vary: '*' } },
  'a type by its suffix': { answer: ['Content-Type: application/problem+json; charset=utf-8'] },
  'the answer to a HEAD': {
    ask: { method: 'HEAD', fields: gzip },
    fields: { vary, 'content-length': null, 'content-encoding': 'gzip' },
  },
  'a HEAD of a length that nobody knows': {
    ask: { method: 'HEAD', fields: gzip },
    framing: 'none',
    fields: { vary, 'content-length': null, 'content-encoding': 'gzip' },
  },
  'a short answer, where the client refuses it as it is': {
    body: 'short',
    ask: { fields: [['accept-encoding', 'gzip, identity;q=0']] },
  },
  'a level': { site: { level: 6 } },
  'levels of streams': {
    site: { level: 6, algorithms: 'zstd' },
    ask: { fields: [['accept-encoding', 'zstd']] },
    body: big,
    coding: 'zstd',
  },
  'types of its own': { site: { types: 'image/*' }, answer: ['Content-Type: image/bmp'] },

  // As they are, but for Vary where the answer could have been compressed
  'a client that says nothing': {
    ask: {},
    coding: null,
    fields: { vary, 'content-length': `${json.length}`, etag: null },
  },
  'a client that wants none': {
    ask: { fields: [['accept-encoding', 'gzip;q=0, br;q=0, *;q=0']] },
    coding: null,
    fields: { vary },
  },
  'a tag stays strong where nothing is compressed': left([type, 'ETag: "x"', 'Accept-Ranges: bytes'], {
    ask: {},
    fields: { etag: '"x"', 'accept-ranges': 'bytes' },
  }),
  'a request with no-transform': {
    ask: { fields: [...gzip, ['cache-control', 'no-cache, no-transform']] },
    coding: null,
    fields: { vary },
  },
  'no-transform': left([type, 'Cache-Control: max-age=60, No-Transform'], { fields: { vary: null } }),
  'a coding of the backend': left([type, 'Content-Encoding: br'], {
    fields: { 'content-encoding': 'br', vary: null },
  }),
  'a coding of the backend that is none': left([type, 'Content-Encoding: identity'], {
    fields: { 'content-encoding': 'identity' },
  }),
  'a part': left([type, `Content-Range: bytes 0-${json.length - 1}/100000`], {
    status: '206 Partial Content',
    fields: { vary },
  }),
  'a part of another type': left(['Content-Type: image/png', `Content-Range: bytes 0-${json.length - 1}/100000`], {
    status: '206 Partial Content',
    fields: { vary: null },
  }),
  'a part that does not say so': left([type], { status: '206 Partial Content', fields: { vary } }),
  'a range without the status': left([type, `Content-Range: bytes 0-${json.length - 1}/100000`]),
  'a digest': left([type, 'Content-Digest: sha-256=:abc=:']),
  'an older digest': left([type, 'Digest: sha-256=abc']),
  'another type': left(['Content-Type: image/png'], { fields: { vary: null } }),
  'no type': left([]),
  'gRPC over a client that does not speak it': left(['Content-Type: application/grpc-web+json']),
  'a short answer': left([type], { body: 'x'.repeat(1023), fields: { vary: null, 'content-length': '1023' } }),
  'a smaller limit': { body: 'x'.repeat(100), site: { min: 100 } },
  'an empty answer': left([type], { body: '', site: { min: 0 } }),
  '204': left([type], { status: '204 No Content', framing: 'none', body: '' }),
  '304': left([type, 'ETag: "x"'], {
    status: '304 Not Modified',
    framing: 'none',
    body: '',
    fields: { etag: '"x"', vary: null },
  }),
  '304 for a client that has the compressed answer': left([type, 'ETag: "x"'], {
    status: '304 Not Modified',
    framing: 'none',
    body: '',
    ask: { fields: [...gzip, ['if-none-match', '"y", W/"x"']] },
    fields: { etag: 'W/"x"', vary },
  }),
  false: { site: false, coding: null, fields: { vary: null, 'content-length': `${json.length}` } },
  true: { site: true, ask: { fields: [['accept-encoding', 'gzip, br, zstd']] }, coding: 'zstd' },
}

let backend: RecordingBackend
let gateway: Started
const names = Object.keys(cases)

before(async () => {
  backend = await recordingBackend((client, received) => {
    if (!received.endsWith('\r\n\r\n')) return
    const [, method, name = ''] =
      /^(\S+) .*\r\nx-case: (\d+)\r\n/is.exec(
        received.slice(received.slice(0, -4).lastIndexOf('\r\n\r\n') + 1).trimStart(),
      ) ?? []
    const {
      answer = [type],
      status = '200 OK',
      body = json,
      framing = 'length',
      ask = {},
    } = cases[names[Number(name)] as string] as Case
    const fields = answer.map(line => `${line}\r\n`).join('')
    const head = (more: string) => `HTTP/1.1 ${status}\r\n${fields}${more}\r\n`
    const content = method === 'HEAD' ? '' : body
    if (framing === 'none') client.send(head(''))
    else if (framing === 'length') client.send(`${head(`Content-Length: ${body.length}\r\n`)}${content}`)
    else {
      const trailer = ask.path === '/trailers' ? 'X-Sum: 1\r\n' : ''
      client.send(
        `${head('Transfer-Encoding: chunked\r\n')}${body.length.toString(16)}\r\n${content}\r\n0\r\n${trailer}\r\n`,
      )
    }
  })
  gateway = await startGateway({
    sites: names.map((name, at) => ({
      host: `case-${at}.test`,
      certificate: 'local' as const,
      compress: (cases[name] as Case).site ?? {},
      to: backend.url,
    })),
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

describe('compress', () => {
  for (const version of versions)
    for (const [at, name] of names.entries())
      it(`${name} (${version})`, async () => {
        const {
          ask: request = { fields: gzip },
          body = json,
          fields = {},
          trailers = [],
          status,
          ...rest
        } = cases[name] as Case
        const coding = rest.coding === undefined ? 'gzip' : rest.coding
        const got = await ask(version, gateway.port, {
          ...request,
          host: `case-${at}.test`,
          fields: [...(request.fields ?? []), ['x-case', `${at}`]],
        })
        assert.equal(got.status, Number(status?.slice(0, 3) ?? 200))
        assert.equal(got.whole, true)
        for (const [field, value] of Object.entries({ 'content-encoding': coding, ...fields })) {
          const values = got.fields.filter(([each]) => each === field).map(([, each]) => each)
          const expected = (value as string | null) === compressedLength ? `${got.body.length}` : value
          assert.equal(values.length === 0 ? null : values.join(', '), expected, field)
        }
        assert.deepEqual(got.trailers, trailers)
        if (request.method === 'HEAD') assert.equal(got.body, '')
        else if (coding === null) assert.equal(got.body, body)
        else {
          assert.equal(decode(coding, got.body), body)
          assert.ok(body.length < 1000 || got.body.length < body.length / 3, `${got.body.length} of ${body.length}`)
        }
      })
})
