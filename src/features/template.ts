/**
 * The small language of values that are filled in from an exchange: `{name}`, with `{{` and `}}` for braces themselves. A
 * template is compiled when a configuration is loaded, with every mistake said there. A value that is not there makes the
 * whole template null, whatever stands around it: what uses it removes the field then. In a URL it is left out. docs/templates.md is made from the
 * table below.
 */

import type { Formed } from '../config/engine/forms.ts'
import { nearest } from '../config/engine/nearest.ts'
import { templateParts } from '../config/engine/template-parts.ts'
import type { StagedExchange } from '../model/stage.ts'
import { cloudTable } from '../wire/cloud-variables.ts'
import type { ResponseHead } from '../wire/heads.ts'

/** What a value is looked up in. `rest`: what the `*` at the end of the route's path took. */
export type Facts = {
  readonly exchange: StagedExchange
  readonly response: ResponseHead | null
  readonly rest: (path: string) => string
}

type Value = (facts: Facts) => string | null

type Variable = {
  readonly docs: string
  readonly value: Value
  /** Already in the form of a URL's path or query: it is not encoded once more in one */
  readonly isUrl?: true
  /** Known only once there is a response */
  readonly late?: true
}

const tls = (pick: (link: NonNullable<StagedExchange['connection']['link']['tls']>) => string | null): Value => {
  return ({ exchange }) => {
    const { connection } = exchange
    return connection.secure && connection.link.tls !== null ? pick(connection.link.tls) : null
  }
}
const identity = (pick: (of: NonNullable<StagedExchange['connection']['identity']>) => string | null): Value => {
  return ({ exchange }) => (exchange.connection.identity === null ? null : pick(exchange.connection.identity))
}
const present = (text: string | null): string | null => (text === '' ? null : text)

/** Every variable there is, in the order of the documentation. */
export const variables: Readonly<Record<string, Variable>> = {
  'client.address': { docs: "The client's address.", value: ({ exchange }) => exchange.client.clientAddress },
  'client.port': {
    docs: "The client's port.",
    // A trusted proxy need not say it.
    value: ({ exchange }) => (exchange.client.clientPort === 0 ? null : `${exchange.client.clientPort}`),
  },
  'client.subject': {
    docs: "The subject of the client's verified certificate (RFC 4514).",
    value: identity(({ subject }) => present(subject)),
  },
  'client.commonName': {
    docs: "The common name in the client's verified certificate.",
    value: identity(({ commonName }) => present(commonName)),
  },
  'client.fingerprint': {
    docs: "SHA-256 of the client's verified certificate, in lower-case hex.",
    value: identity(({ fingerprint }) => fingerprint),
  },
  'client.spiffe': {
    docs: "The SPIFFE id in the client's verified certificate.",
    value: identity(({ uris }) => uris.find(uri => uri.startsWith('spiffe://')) ?? null),
  },
  'client.ja4': {
    docs: "The JA4 fingerprint of the client's TLS ClientHello; present if the access log or the site needs fingerprints.",
    value: ({ exchange }) => exchange.connection.fingerprint?.ja4 ?? null,
  },
  ...cloudTable((docs, pick) => ({
    docs,
    value: ({ exchange: { connection } }: Facts) => (connection.cloud === null ? null : pick(connection.cloud)),
  })),
  'tls.version': {
    docs: 'The TLS version of the connection with the client, as in `TLSv1.3`.',
    value: tls(({ version }) => version),
  },
  'tls.cipher': { docs: 'The cipher suite of the connection with the client.', value: tls(({ cipher }) => cipher) },
  'tls.group': {
    docs: 'The key exchange group of the connection with the client.',
    value: ({ exchange }) => present(exchange.connection.group),
  },
  'tls.alpn': { docs: 'The negotiated application protocol, as in `h2`.', value: tls(({ alpn }) => alpn) },
  'tls.serverName': {
    docs: 'The server name in the ClientHello.',
    value: ({ exchange }) => exchange.connection.serverName,
  },
  'request.id': { docs: 'The id of the request, as in the log.', value: ({ exchange }) => exchange.id },
  'request.method': { docs: 'The method.', value: ({ exchange }) => exchange.head.method },
  'request.scheme': {
    docs: '`https` or `http`, as the client connected.',
    value: ({ exchange }) => (exchange.client.secure ? 'https' : 'http'),
  },
  'request.host': {
    docs: 'The requested host, without a port.',
    value: ({ exchange }) => present(exchange.host.replace(/:\d*$/, '')),
  },
  'request.port': {
    docs: 'The port that the client connected to: `listen.public`, else that of the listener or a PROXY header.',
    value: ({ exchange }) => `${exchange.client.publicPort ?? exchange.client.serverPort}`,
  },
  'request.path': {
    docs: 'The requested path, in normal form.',
    value: ({ exchange }) => exchange.path,
    isUrl: true,
  },
  'request.query': {
    docs: 'The query with its `?`; empty if there is none.',
    value: ({ exchange }) => exchange.query,
    isUrl: true,
  },
  'path.rest': {
    docs: "What the `*` at the end of the route's path matched, without the slash before it.",
    value: ({ exchange, rest }) => rest(exchange.path),
    isUrl: true,
  },
  'site.name': { docs: 'The first host of the site.', value: ({ exchange }) => exchange.siteName },
  'route.name': { docs: 'The route, as in the log.', value: ({ exchange }) => exchange.route?.name ?? null },
  'upstream.name': {
    docs: 'The upstream that the request was sent to.',
    value: ({ exchange }) => exchange.attempts.upstreamName,
    late: true,
  },
  'upstream.endpoint': {
    docs: 'The endpoint that responded.',
    value: ({ exchange }) => exchange.attempts.endpoint?.label ?? null,
    late: true,
  },
  'response.status': {
    docs: 'The status of the response.',
    value: ({ response }) => (response === null ? null : `${response.status}`),
    late: true,
  },
}

/** Where a template stands: how its values are encoded, and what is known there. */
type Use = 'request field' | 'response field' | 'location'

export type Template = {
  (facts: Facts): string | null
  /** What it always gives, where nothing is filled in */
  readonly constant?: string
  /** It looks into the request's fields, which stages change */
  readonly readsFields?: true
}

type Part = string | { readonly name: string; readonly value: Value; readonly isUrl: boolean }

/** Reads a template. */
export function parseTemplate(text: string, use: Use): Formed<Template> {
  const split = templateParts(text)
  if (!('ok' in split)) return split
  const parts: Part[] = []
  for (const part of split.ok) {
    if (typeof part === 'string') {
      parts.push(part)
      continue
    }
    const { name } = part
    const found = variableOf(name)
    if (found === null) {
      const close = nearest(name, Object.keys(variables))
      const hint = close === null ? `there are ${Object.keys(variables).join(', ')}` : `did you mean {${close}}?`
      return { wrong: `{${name}} is not a value of templates`, hint }
    }
    if (found.late && use !== 'response field')
      return {
        wrong: `{${name}} is known only once there is a response`,
        hint: 'use it in headers of the response',
      }
    parts.push({ name, value: found.value, isUrl: found.isUrl === true })
  }
  if (parts.every(part => typeof part === 'string')) {
    const constant = parts.join('')
    return { ok: Object.assign(() => constant, { constant }) }
  }
  const filled = (facts: Facts) => fill(parts, facts, use)
  const readsFields = parts.some(part => typeof part !== 'string' && part.name.startsWith(headerPrefix))
  return { ok: readsFields ? Object.assign(filled, { readsFields } as const) : filled }
}

const headerPrefix = 'request.header.'

/** `request.header.NAME` and `request.cookie.NAME` beside those of the table. */
function variableOf(name: string): Variable | null {
  if (Object.hasOwn(variables, name)) return variables[name] as Variable
  const header = /^request\.header\.([!#$%&'*+.^_`|~0-9A-Za-z-]+)$/.exec(name)?.[1]
  if (header === undefined) return null
  return { docs: '', value: ({ exchange }) => exchange.head.fields.get(header) }
}

function fill(parts: readonly Part[], facts: Facts, use: Use): string | null {
  let text = ''
  for (const part of parts) {
    if (typeof part === 'string') {
      text += part
      continue
    }
    const value = part.value(facts)
    if (use === 'location') text += value === null ? '' : inUrl(value, part)
    else if (value === null) return null
    else text += inField(value)
  }
  return text
}

/** A host stands as it is: the parser has held it to what a host may be. All else is one segment, or was a path before. */
function inUrl(value: string, { name, isUrl }: Exclude<Part, string>): string {
  // The target of OPTIONS * is no path.
  if (isUrl) return value === '*' ? '/' : value
  if (name === 'request.host' || name === 'request.scheme') return value
  return encodeURIComponent(value.toWellFormed())
}

const plain = /^[\x20-\x7e]*$/

/** Field values are visible ASCII; what is not is percent-encoded as UTF-8, so that nothing is lost and nothing breaks a line. */
function inField(value: string): string {
  return plain.test(value) ? value : value.toWellFormed().replace(/[^\x20-\x7e]+/gu, encodeURIComponent)
}
