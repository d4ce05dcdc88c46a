/** From what a trusted proxy says to the client of a request: whom it believes, hop by hop, and what it refuses. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProxyError } from '../../src/base/errors.ts'
import { CidrSet } from '../../src/base/ip.ts'
import type { Trust } from '../../src/model/client.ts'
import type { Connection } from '../../src/model/connection.ts'
import { trustedClient } from '../../src/proxy/seam/trusted-client.ts'
import { Fields } from '../../src/wire/fields.ts'

const connection = {
  clientAddress: '10.0.0.1',
  clientPort: 4711,
  serverPort: 8080,
  publicPort: null,
  secure: false,
} as unknown as Connection

const trusting = (fields: Trust['fields'], host = true): Trust => ({
  from: new CidrSet(['10.0.0.0/8', 'fd00::/8']),
  fields,
  host,
})

/** `address port scheme serverPort host`, or the message of the refusal. */
function clientOf(trust: Trust, lines: string[], asked: string | null = 'own.test'): string {
  const claims = new Fields(lines.map(line => `${line}\r\n`).join(''))
  const found = trustedClient(claims, connection, trust, asked)
  if (found instanceof ProxyError) return `${found.code}: ${found.message}`
  const { clientAddress, clientPort, secure, serverPort } = found.client
  return `${clientAddress} ${clientPort} ${secure ? 'https' : 'http'} ${serverPort} ${found.host}`
}

type Case = [lines: string[], expected: string | RegExp]

function table(name: string, trust: Trust, cases: Case[]): void {
  describe(name, () => {
    for (const [lines, expected] of cases)
      it(lines.join(' | ') || '(nothing)', () => {
        const got = clientOf(trust, lines)
        if (typeof expected === 'string') assert.equal(got, expected)
        else assert.match(got, expected)
      })
  })
}

table('x-forwarded', trusting('x-forwarded'), [
  [['X-Forwarded-For: 192.0.2.7'], '192.0.2.7 0 http 8080 null'],
  [['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Proto: https'], '192.0.2.7 0 https 443 null'],
  [['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Proto: HTTP'], '192.0.2.7 0 http 80 null'],
  [['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Proto: wss'], '192.0.2.7 0 https 443 null'],
  // The rightmost that is not trusted; what stands left of it is never looked at
  [['X-Forwarded-For: 6.6.6.6, 192.0.2.7'], '192.0.2.7 0 http 8080 null'],
  [['X-Forwarded-For: 6.6.6.6', 'X-Forwarded-For: 192.0.2.7'], '192.0.2.7 0 http 8080 null'],
  [['X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.9.9.9, fd00::1'], '192.0.2.7 0 http 8080 null'],
  [['X-Forwarded-For: <script>, 10.0.0.9, 192.0.2.7'], '192.0.2.7 0 http 8080 null'],
  [['X-Forwarded-For: 10.0.0.9, 192.0.2.7, 10.0.0.8'], '192.0.2.7 0 http 8080 null'],
  // All are trusted: the leftmost
  [['X-Forwarded-For: 10.3.3.3, 10.2.2.2'], '10.3.3.3 0 http 8080 null'],
  [['X-Forwarded-For: 192.0.2.7:50000'], '192.0.2.7 50000 http 8080 null'],
  [['X-Forwarded-For: [2001:DB8::7]:50000'], '2001:db8::7 50000 http 8080 null'],
  [['X-Forwarded-For: ::ffff:10.1.1.1, ::ffff:192.0.2.7, ::ffff:10.0.0.2'], '192.0.2.7 0 http 8080 null'],
  // Who is not known is whom the nearest known proxy serves
  [['X-Forwarded-For: 192.0.2.7, unknown, 10.0.0.5'], '10.0.0.5 0 http 8080 null'],
  // A request of the proxy's own
  [[], '10.0.0.1 4711 http 8080 null'],
  [['X-Forwarded-Proto: https'], '10.0.0.1 4711 https 443 null'],
  // Scheme, host and port of the same hop, or one for all
  [
    ['X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.0.0.5', 'X-Forwarded-Proto: http, https, http'],
    '192.0.2.7 0 https 443 null',
  ],
  [
    [
      'X-Forwarded-For: 192.0.2.7, 10.0.0.5',
      'X-Forwarded-Proto: https, http',
      'X-Forwarded-Host: Shop.test, inner.test',
      'X-Forwarded-Port: 8443, 8080',
    ],
    '192.0.2.7 0 https 8443 shop.test',
  ],
  [
    ['X-Forwarded-For: 192.0.2.7, 10.0.0.5', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop.test:444'],
    '192.0.2.7 0 https 444 shop.test:444',
  ],
  [['X-Forwarded-For: 1.1.1.1, 192.0.2.7, 10.0.0.5', 'X-Forwarded-Proto: https, http'], /^BAD_REQUEST: .*matched$/],
  [['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Proto: https', 'X-Forwarded-Proto: http'], /^BAD_REQUEST/],
  [['X-Forwarded-Proto: https, http'], /^BAD_REQUEST/],
  // Malformed where it counts
  [['X-Forwarded-For: 192.0.2.7, nobody'], /^BAD_REQUEST: .*malformed X-Forwarded-For/],
  [['X-Forwarded-For: 192.0.2.7, 10.0.0.5:99999'], /^BAD_REQUEST/],
  [['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Proto: gopher'], /^BAD_REQUEST/],
  [['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Host: a b'], /^BAD_REQUEST/],
  [['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Host: evil.test/x'], /^BAD_REQUEST/],
  [['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Port: 0'], /^BAD_REQUEST/],
  [['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Port: 443x'], /^BAD_REQUEST/],
  // Fields that are not asked for
  [['CF-Connecting-IP: 6.6.6.6', 'Forwarded: for=6.6.6.6', 'X-Real-IP: 6.6.6.6'], '10.0.0.1 4711 http 8080 null'],
])

table('x-forwarded without its host', trusting('x-forwarded', false), [
  [
    ['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Host: evil.test', 'X-Forwarded-Proto: https'],
    '192.0.2.7 0 https 443 null',
  ],
  [['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Host: a, b, c'], '192.0.2.7 0 http 8080 null'],
])

table('forwarded', trusting('forwarded'), [
  [['Forwarded: for=192.0.2.7;proto=https;host=shop.test'], '192.0.2.7 0 https 443 shop.test'],
  [
    [
      'Forwarded: for=6.6.6.6;proto=http, for="[2001:db8::7]:999";proto=https;host="shop.test:8443", for=10.0.0.5;proto=http',
    ],
    '2001:db8::7 999 https 8443 shop.test:8443',
  ],
  [['Forwarded: for=6.6.6.6', 'Forwarded: for=192.0.2.7'], '192.0.2.7 0 http 8080 null'],
  [['Forwarded: for=192.0.2.7, for=_hidden;proto=https, for=10.0.0.5'], '10.0.0.5 0 https 443 null'],
  [['Forwarded: for=192.0.2.7, for=unknown;proto=https'], '10.0.0.1 4711 https 443 null'],
  [['Forwarded: proto=https'], '10.0.0.1 4711 https 443 null'],
  [[], '10.0.0.1 4711 http 8080 null'],
  [['Forwarded: for="6.6.6.6', 'Forwarded: for=192.0.2.7'], /^BAD_REQUEST: .*malformed Forwarded/],
  [['Forwarded: for=192.0.2.7;for=6.6.6.6'], /^BAD_REQUEST/],
  [['Forwarded: for=a.test'], /^BAD_REQUEST/],
  [['Forwarded: for=192.0.2.7;host="a b"'], /^BAD_REQUEST/],
  [['X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Proto: https'], '10.0.0.1 4711 http 8080 null'],
])

for (const name of ['cf-connecting-ip', 'true-client-ip', 'x-real-ip'] as const)
  table(name, trusting(name), [
    [[`${name}: 192.0.2.7`], '192.0.2.7 0 http 8080 null'],
    [
      [`${name}: 2001:DB8::7`, 'x-forwarded-proto: https', 'x-forwarded-for: 6.6.6.6'],
      '2001:db8::7 0 https 443 null',
    ],
    [[`${name}: 10.0.0.9`], '10.0.0.9 0 http 8080 null'],
    [[`${name}: 192.0.2.7`, 'x-forwarded-host: evil.test', 'x-forwarded-port: 1'], '192.0.2.7 0 http 8080 null'],
    [[`${name}: 192.0.2.7`, `${name}: 192.0.2.7`], /^BAD_REQUEST: .* 2 times/],
    [[`${name}: 192.0.2.7`, 'x-forwarded-proto: https', 'x-forwarded-proto: https'], /^BAD_REQUEST/],
    [[`${name}: 192.0.2.7`, 'x-forwarded-proto: https, http'], /^BAD_REQUEST/],
    [[`${name}: 192.0.2.7, 6.6.6.6`], /^BAD_REQUEST/],
    [[`${name}: unknown`], /^BAD_REQUEST/],
    [[`${name}: `], /^BAD_REQUEST/],
    [[], /^BAD_REQUEST: a trusted proxy sent no/],
  ])

it('the port of the request stands in its Host where the proxy does not say it', () => {
  const lines = ['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Proto: https']
  assert.equal(clientOf(trusting('x-forwarded'), lines, 'own.test:8443'), '192.0.2.7 0 https 8443 null')
  assert.equal(clientOf(trusting('x-forwarded'), lines, null), '192.0.2.7 0 https 443 null')
})
