/** The worst that peers can make the log, its sentences and the commands write. */

import { ProxyError } from '../../../src/base/errors.ts'
import { parseAddress } from '../../../src/base/ip.ts'
import { createLog } from '../../../src/base/log.ts'
import { boundedFields } from '../../../src/base/log-bounds.ts'
import { visible } from '../../../src/base/visible.ts'
import { accessFormat } from '../../../src/config/access-format.ts'
import { syslogServer } from '../../../src/config/syslog-url.ts'
import { handshakeGroups, handshakesText } from '../../../src/control/commands/handshakes.ts'
import { chooseCoding } from '../../../src/features/compress/accept-encoding.ts'
import { addVary, isNotToTransform, weakenConfirmed } from '../../../src/features/compress/answer.ts'
import { codings } from '../../../src/features/compress/codings.ts'
import { compileTypes } from '../../../src/features/compress/media-types.ts'
import { parseLocation } from '../../../src/features/location.ts'
import { parseTemplate } from '../../../src/features/template.ts'
import type { Connection } from '../../../src/model/connection.ts'
import { Metrics } from '../../../src/model/metrics.ts'
import type { Snapshot } from '../../../src/model/snapshot.ts'
import type { StagedExchange } from '../../../src/model/stage.ts'
import { lineText } from '../../../src/observe/access/format.ts'
import { shownQuery } from '../../../src/observe/access/redact.ts'
import { Observation } from '../../../src/observe/observation.ts'
import { decide } from '../../../src/proxy/accept/decide.ts'
import { errorAnswer } from '../../../src/proxy/exchange/respond.ts'
import { parseClientHello } from '../../../src/wire/client-hello.ts'
import { Fields } from '../../../src/wire/fields.ts'
import { alpn, hello } from '../../wire/hello-bytes.ts'
import { type Worst, worst } from './worst.ts'

const helloOf = (n: number) => {
  const parsed = parseClientHello(hello({ extensions: [alpn(...Array.from({ length: n / 2 }, () => 'x'))] }))
  if ('alert' in parsed) throw new Error(parsed.why)
  return parsed
}

const site = {
  name: 'a',
  policy: 'p',
  fingerprints: { block: [] },
  action: { kind: 'http', tls: { minVersion: 0x0303, maxVersion: 0x0304, alpn: ['h2'] }, routes: [] },
} as unknown as NonNullable<ReturnType<Snapshot['site']>>
const table = { site: () => site, defaultSite: site }
const snapshot = { ...table, sitesOf: () => table } as unknown as Snapshot
const connection = {
  clientAddress: '10.0.0.1',
  clientPort: 1,
  serverPort: 2,
  cloud: null,
  serverName: 'a',
} as unknown as Connection

const quiet = (format: 'json' | 'text') => createLog({ level: 'debug', format, out: () => {} })

export const logs: readonly Worst[] = [
  worst('src/proxy/accept/decide.ts', 'a refusal for protocol names of one byte', 8_000, n => {
    const parsed = helloOf(n)
    return () => decide(snapshot, null, parsed, () => '10.0.0.1')
  }),
  worst('src/observe/observation.ts', 'a refused hello of protocol names', 8_000, n => {
    const parsed = helloOf(n)
    const events = new Observation(quiet('json'), new Metrics())
    const error = new ProxyError('TLS_NO_ALPN', 'x'.repeat(n))
    return () => events.failedHandshake(connection, error, parsed, null)
  }),
  worst('src/observe/access/redact.ts', 'a query of parameters', 8_000, n => {
    const query = `?${'a=1&'.repeat(n / 4)}`
    return () => shownQuery('redacted', [])(query)
  }),
  worst('src/observe/access/redact.ts', 'a query of question marks and an equals sign', 8_000, n => {
    const query = `${'?'.repeat(n)}=`
    return () => shownQuery('redacted', [])(query)
  }),
  worst('src/observe/access/redact.ts', 'one name of capitals and percent signs', 8_000, n => {
    const query = `?${'aB%4'.repeat(n / 4)}=1`
    return () => shownQuery('redacted', [])(query)
  }),
  worst('src/observe/access/format.ts', 'quotes', 8_000, n => {
    const text = '"'.repeat(n)
    return () => lineText(text, 2_048)
  }),
  worst('src/config/access-format.ts', 'braces', 4_000, n => {
    const text = '{'.repeat(n)
    return () => accessFormat(text)
  }),
  worst('src/config/syslog-url.ts', 'colons', 8_000, n => {
    const text = `udp://${':'.repeat(n)}`
    return () => syslogServer(text)
  }),
  worst('src/base/log.ts', 'controls, as JSON', 4_000, n => {
    const why = '\u0085'.repeat(n)
    return () => quiet('json').write('info', 'x', { why, path: why, list: [why] })
  }),
  worst('src/base/log.ts', 'controls, as text', 4_000, n => {
    const why = '\u202e'.repeat(n)
    return () => quiet('text').write('info', why, { why, path: why, list: [why] })
  }),
  worst('src/base/log-bounds.ts', 'a long list', 4_000, n => {
    const list = Array.from({ length: n }, () => 'x')
    return () => boundedFields({ list })
  }),
  worst('src/base/visible.ts', 'controls', 4_000, n => {
    const text = '\u009b'.repeat(n)
    return () => visible(text)
  }),
  worst('src/control/commands/handshakes.ts', 'causes that all differ', 200, n => {
    const offered = {
      alpnOffered: [],
      ja4: '',
      groupsOffered: [],
      signatureAlgorithms: [],
      versions: [],
      ciphersOffered: [],
    }
    const common = { at: 0, error: 'E', client: 'c', sni: null, alert: null, alertFrom: null, offered }
    const list = Array.from({ length: n }, (_, at) => ({ ...common, why: `cause ${at}` }))
    return () => handshakesText(handshakeGroups(list), n)
  }),
  worst('src/control/commands/handshakes.ts', 'one long sentence of short words', 4_000, n => {
    const offered = {
      alpnOffered: [],
      ja4: '',
      groupsOffered: [],
      signatureAlgorithms: [],
      versions: [],
      ciphersOffered: [],
    }
    const why = 'a '.repeat(n / 2)
    const failed = { at: 0, error: 'E', why, client: 'c', sni: null, alert: null, alertFrom: null, offered }
    return () => handshakesText(handshakeGroups([failed]), 1)
  }),
  worst('src/base/ip.ts', 'colons and digits', 8_000, n => {
    const texts = [':'.repeat(n), '1'.repeat(n), '1.'.repeat(n / 2), `::${'f:'.repeat(n / 2)}`]
    return () => texts.map(parseAddress)
  }),
  worst('src/features/compress/accept-encoding.ts', 'codings and weights without end', 8_000, n => {
    const accept = `${'gzip;q=0.001 ,'.repeat(n / 28)}${';q=0.0\t, '.repeat(n / 18)}`
    return () => chooseCoding(accept, codings)
  }),
  worst('src/features/compress/accept-encoding.ts', 'a weight of blanks', 8_000, n => {
    const accept = `gzip;${' \t'.repeat(n / 4)}q=1${' \t'.repeat(n / 4)}x`
    return () => chooseCoding(accept, codings)
  }),
  worst('src/features/compress/answer.ts', 'Vary, Cache-Control and If-None-Match in many fields', 8_000, n => {
    const line = (name: string, value: string) => `${name}: ${value}\r\n`.repeat(n / 60)
    const text =
      line('vary', 'a, b,,') + line('cache-control', 'no-transfor, ,') + line('if-none-match', 'W/"x, "x",')
    return () => {
      const fields = new Fields(`etag: "${'x'.repeat(n / 4)}"\r\n${text}`)
      isNotToTransform(fields)
      addVary(fields)
      weakenConfirmed(fields, fields)
    }
  }),
  worst('src/features/compress/media-types.ts', 'a type of slashes and suffixes', 8_000, n => {
    const types = compileTypes(['text/*', 'application/*+json'])
    const type = `${'a/'.repeat(n / 4)}${'+b'.repeat(n / 4)};`
    return () => types(type)
  }),
  worst('src/features/template.ts', 'a long target in a redirect', 4_000, n => {
    const path = `/${'{path}'.repeat(n / 6)}`
    const parsed = parseLocation('https://{host}{path}{query}/{request.header.x}')
    if (!('ok' in parsed)) throw new Error(parsed.wrong)
    const head = { fields: new Fields(`x: ${'\u00e9/'.repeat(n / 2)}\r\n`) }
    const exchange = { host: 'a:1', path, query: `?${'{query}'.repeat(n / 7)}`, head } as unknown as StagedExchange
    return () => parsed.ok.template({ exchange, response: null, rest: () => '' })
  }),
  worst('src/features/template.ts', 'a template of braces', 4_000, n => {
    const text = '{{}}'.repeat(n / 4)
    return () => parseTemplate(text, 'response field')
  }),
  worst('src/proxy/exchange/respond.ts', 'a long Accept', 8_000, n => {
    const accept = 'jso,'.repeat(n / 4)
    return () => errorAnswer('NO_ROUTE', accept, 'id')
  }),
]
