/** Rows for `log`: what is logged, how, and where the access log goes. */

import { facilities } from '../../observe/access/syslog-message.ts'
import { accessFormat } from '../access-format.ts'
import type { Formed } from '../engine/forms.ts'
import { kind, shape } from '../engine/kinds.ts'
import { syslogServer, syslogTag } from '../syslog-url.ts'

const rotateShape = shape({
  name: 'log.access.rotate',
  docs: 'The gateway rotates the file by itself: `access.log` becomes `access.log.1`, and so on.',
  rows: {
    size: {
      kind: { type: 'size', min: 4_096, max: Number.MAX_SAFE_INTEGER },
      required: true,
      docs: 'The file is rotated when it is larger than this; it is looked at once a second.',
      example: '100mb',
    },
    keep: {
      kind: { type: 'integer', min: 1, max: 100 },
      default: 5,
      docs: 'How many rotated files are kept.',
      example: '10',
    },
  },
})

const syslogShape = shape({
  name: 'log.access.syslog',
  docs: 'A syslog server that access records are sent to (RFC 5424).',
  rows: {
    to: {
      kind: { type: 'string', form: syslogServer, write: 'URL' },
      required: true,
      docs: '`udp://HOST:PORT`, or `tcp://HOST:PORT` with octet counting (RFC 6587). The ports are 514 and 601 if left out.',
      example: 'udp://127.0.0.1:514',
    },
    facility: {
      kind: { type: 'choice', of: facilities },
      default: 'local7',
      docs: 'The facility of the messages. Their severity is `info`.',
      example: 'local0',
    },
    tag: {
      kind: { type: 'string', form: syslogTag, write: 'tag' },
      default: 'sallyport',
      docs: 'APP-NAME of the messages.',
      example: 'edge',
    },
  },
})

/** The name of a query parameter. */
function parameterName(text: string): Formed<string> {
  if (text !== '' && text.length <= 256) return { ok: text }
  return { wrong: 'the name of a query parameter has 1 to 256 characters' }
}

export const accessShape = shape({
  name: 'log.access',
  docs: 'One record for each request: see [the access log](access-log.md).',
  rows: {
    format: {
      kind: { type: 'string', form: accessFormat, write: '`json`, `combined`, `common`, or a template' },
      default: 'json',
      docs: 'The form of a record. On standard output, `json` follows `log.format`.',
      example: 'combined',
    },
    file: {
      kind: { type: 'folder' },
      defaultDocs: 'standard output',
      docs: 'Appends to this file. It is opened again on SIGHUP, on SIGUSR1 and by `sallyport log reopen`.',
      example: '/var/log/sallyport/access.log',
    },
    rotate: {
      kind: { type: 'object', shape: rotateShape },
      docs: 'Rotates `file` by size. Without it, use logrotate.',
      example: '{ size: 100mb, keep: 10 }',
    },
    syslog: {
      kind: { type: 'object', shape: syslogShape },
      docs: 'Sends records to a syslog server. With `file` as well, they go to both.',
      example: '{ to: "tcp://logs.internal:601", facility: local0 }',
    },
    fields: {
      kind: {
        type: 'list',
        of: { type: 'choice', of: ['userAgent', 'referer', 'forwardedPath', 'trace'] },
        single: true,
      },
      docs:
        'Fields that are added to `json` records: User-Agent, Referer, the path that the backend was asked for, the trace and parent ids of ' +
        '`traceparent` (W3C Trace Context).',
      example: '[userAgent, referer]',
    },
    query: {
      kind: { type: 'choice', of: ['redacted', 'all', 'none'] },
      default: 'redacted',
      docs:
        'What is logged of the queries of requests and referers. `redacted`: values of parameters whose names suggest a secret (`token`, ' +
        '`key`, `password`, `code`, `secret`, `signature` and others) are replaced by `***`.',
      example: 'none',
    },
    redact: {
      kind: { type: 'list', of: { type: 'string', form: parameterName, write: 'parameter name' }, single: true },
      docs: 'Further names of parameters to redact. Upper and lower case do not matter.',
      example: '[email, iban]',
    },
    sample: {
      kind: { type: 'percent', min: 0, max: 100 },
      default: '100%',
      docs: 'The share of requests that are logged, chosen at random. Requests that failed or got a status from 500 on are always logged.',
      example: '10%',
    },
  },
})

const accessKind = kind({ type: 'either', text: { type: 'boolean' }, map: { type: 'object', shape: accessShape } })

export const logShape = shape({
  name: 'log',
  docs: 'Logs go to standard output, one record a line.',
  rows: {
    access: {
      kind: accessKind,
      default: true,
      docs:
        'One record per exchange or layer-4 connection: `true` for JSON on standard output, `false` for none, or in which form and where. ' +
        'A site or a route can leave it out with `accessLog: false`.',
      example: '{ format: combined, file: /var/log/sallyport/access.log }',
    },
    format: {
      kind: { type: 'choice', of: ['json', 'text'] },
      default: 'json',
      docs: 'JSON for machines, text for people.',
      example: 'text',
    },
    level: {
      kind: { type: 'choice', of: ['debug', 'info', 'warn', 'error'] },
      default: 'info',
      docs: 'The lowest level that is logged; access records are not affected.',
      example: 'warn',
    },
  },
})
