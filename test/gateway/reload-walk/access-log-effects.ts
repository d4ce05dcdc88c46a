/** Rows of the access log: what is open for it, and what the line of a request is. */
import path from 'node:path'
import type { Observer, RequestRecord } from '../../../src/model/records.ts'
import { temporaryFolder } from '../../harness/certificates.ts'
import type { Table } from './effect.ts'
import type { Running } from './running.ts'

const accessFile = path.join(temporaryFolder('sallyport-walk-access-'), 'access.log')
const syslogTo = 'udp://127.0.0.1:9'

const partsOf = ({ parts }: Running) =>
  parts as unknown as {
    readonly events: { readonly access: Observer | null }
    readonly accessLog: {
      readonly open: readonly { readonly key: string; readonly sink: { write(line: string): void } }[]
    }
  }

/** What was opened for the access log, by what it was opened with. */
const opened = (running: Running) => partsOf(running).accessLog.open.map(({ key }) => JSON.parse(key))

/** The line that a request which asks for a secret would have, or none. */
function accessLine(running: Running): string {
  let line = ''
  const { access } = partsOf(running).events
  const [first] = partsOf(running).accessLog.open
  if (first === undefined) return ''
  const { write } = first.sink
  first.sink.write = text => {
    line = text
  }
  access?.request?.(someRequest)
  first.sink.write = write
  return line.replace(/"time":"[^"]*",/, '')
}

const connection = {
  clientAddress: '192.0.2.1',
  serverPort: 80,
  cloud: null,
  secure: false,
  link: { tls: null },
  handshakeMs: 0,
}

const someRequest = {
  id: 'a',
  connection,
  client: connection,
  head: { method: 'GET', version: 1, minor: 1, fields: { sent: 'user-agent: curl\r\n' } },
  host: 'a.test',
  path: '/',
  query: '?token=1&mail=2',
  status: 200,
  bytesIn: 0,
  bytesOut: 0,
  route: null,
  attempts: { count: 0, endpoint: null, upstreamName: null },
  errorCode: null,
  errorWhy: null,
} as unknown as RequestRecord

export const accessLog: Table = {
  name: 'the access log',
  base: () => ({
    listen: [{ port: 0, address: '127.0.0.1', cleartext: 'serve' }],
    sites: [{ host: 'a.test', routes: [{ respond: { body: 'here' } }] }],
    log: { access: { file: accessFile } },
  }),
  effects: {
    'log.access.format': {
      to: '{request.method} {response.status}',
      look: accessLine,
      sees: 'GET 200\n',
    },
    'log.access.file': {
      to: `${accessFile}.other`,
      look: running => opened(running)[0]?.file,
      sees: `${accessFile}.other`,
    },
    'log.access.rotate': {
      to: { size: '1mb' },
      look: running => opened(running)[0]?.rotate,
      sees: { sizeBytes: 2 ** 20, keep: 5 },
    },
    'log.access.rotate.size': {
      given: { 'log.access.rotate': { size: '1mb' } },
      to: '2mb',
      look: running => opened(running)[0]?.rotate.sizeBytes,
      sees: 2 ** 21,
    },
    'log.access.rotate.keep': {
      given: { 'log.access.rotate': { size: '1mb' } },
      to: 7,
      look: running => opened(running)[0]?.rotate.keep,
      sees: 7,
    },
    'log.access.syslog': {
      to: { to: syslogTo },
      look: running => opened(running)[1] ?? null,
      sees: { scheme: 'udp', host: '127.0.0.1', port: 9, facility: 'local7', tag: 'sallyport' },
    },
    'log.access.syslog.to': {
      given: { 'log.access.syslog': { to: syslogTo } },
      to: 'udp://127.0.0.1:10',
      look: running => opened(running)[1]?.port,
      sees: 10,
    },
    'log.access.syslog.facility': {
      given: { 'log.access.syslog': { to: syslogTo } },
      to: 'mail',
      look: running => opened(running)[1]?.facility,
      sees: 'mail',
    },
    'log.access.syslog.tag': {
      given: { 'log.access.syslog': { to: syslogTo } },
      to: 'edge',
      look: running => opened(running)[1]?.tag,
      sees: 'edge',
    },
    'log.access.fields': {
      to: ['userAgent'],
      look: running => accessLine(running).includes('"userAgent":"curl"'),
      sees: true,
    },
    'log.access.query': {
      to: 'all',
      look: running => accessLine(running).includes('/?token=1&mail=2'),
      sees: true,
    },
    'log.access.redact': {
      to: ['mail'],
      look: running => accessLine(running).includes('/?token=***&mail=***'),
      sees: true,
    },
    'log.access.sample': { to: '0%', look: accessLine, sees: '' },
  },
}
