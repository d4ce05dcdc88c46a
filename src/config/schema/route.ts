/** Rows for routes: which requests of a site, and what becomes of them. */

import { featureRows } from '../../features/all.ts'
import { filesShape } from '../../features/files/options.ts'
import { parseLocation } from '../../features/location.ts'
import { routeTimeoutNames } from '../../model/route.ts'
import {
  anyText,
  type Formed,
  headerName,
  headerValue,
  ja4,
  method,
  pathPattern,
  queryName,
} from '../engine/forms.ts'
import { type Row, shape } from '../engine/kinds.ts'
import { clientMatchKind } from './clients.ts'
import { limitsRows, timeoutsRows } from './limits.ts'
import { requestField } from './request-field.ts'
import { targetKind } from './upstream.ts'
import { useRow } from './use.ts'

const idList = (form: (text: string) => Formed<string>, write: string) =>
  ({ type: 'list', of: { type: 'string', form, write }, single: true }) as const

const proxyMatchShape = shape({
  name: 'match.proxy',
  docs:
    'Ids that the load balancer of a cloud sends in a PROXY header of version 2 ([proxy-protocol.md](proxy-protocol.md)). Every kind ' +
    'that is set must match.',
  rows: {
    awsVpceId: {
      kind: idList(vpceId, 'VPC endpoint id'),
      docs: 'AWS: the id of the VPC endpoint (PrivateLink).',
      example: 'vpce-08d2bf15fac5001c9',
    },
    gcpConnectionId: {
      kind: idList(decimalId(2n ** 64n), 'connection id'),
      docs: 'Google Cloud: the id of the Private Service Connect connection.',
      example: '"70000000000000001"',
    },
    azureLinkId: {
      kind: idList(decimalId(2n ** 32n), 'link id'),
      docs: 'Azure: the link id of the private endpoint.',
      example: '"268435456"',
    },
  },
})

/** As AWS sends it. */
function vpceId(text: string): Formed<string> {
  if (/^[A-Za-z0-9-]{1,64}$/.test(text)) return { ok: text }
  return { wrong: `${JSON.stringify(text)} is not the id of a VPC endpoint`, hint: 'as in vpce-08d2bf15fac5001c9' }
}

/** In quotes, since a YAML number of that size would lose its last digits. */
function decimalId(end: bigint): (text: string) => Formed<string> {
  return text =>
    /^(0|[1-9][0-9]{0,19})$/.test(text) && BigInt(text) < end
      ? { ok: text }
      : { wrong: `${JSON.stringify(text)} is not an id`, hint: `a whole number below ${end}, in quotes` }
}

/** A condition on a field that is never there would never hold, and a route that denies something would not. */
function matchedField(text: string): Formed<string> {
  const name = requestField('write access: { allow: [...] } or { deny: [...] } to go by the address of the client')(
    text,
  )
  if ('ok' in name && name.ok === 'host')
    return { wrong: 'host is what a site is chosen by', hint: 'write a site with this host, and the route there' }
  return name
}

export const matchShape = shape({
  name: 'match',
  docs:
    'Which requests: every condition that is set must match, and any one value of a list. The most specific route is used, ' +
    'regardless of the order in the file: an exact path before a pattern, a longer prefix before a shorter one, then the one with ' +
    'more conditions.',
  rows: {
    path: {
      kind: { type: 'list', of: { type: 'string', form: pathPattern, write: 'path' }, single: true },
      docs:
        '`/a` is that path alone, `/a/*` is `/a` and everything below it, and a `*` elsewhere stands for one segment or a part of one ' +
        '(`/a/*/b`). Path parameters (`;a=b`) are part of their segment: `/admin;a=b/x` is not below `/admin`, while some backends, such ' +
        'as servlet containers, take it for `/admin/x`. In front of those, write `path: { parameters: strip }`.',
      example: '/api/*',
    },
    method: {
      kind: { type: 'list', of: { type: 'string', form: method, write: 'method' }, single: true },
      docs: 'In capitals, as on the wire.',
      example: '[GET, POST]',
    },
    header: {
      kind: {
        type: 'map',
        key: matchedField,
        keyName: 'name',
        of: { type: 'string', form: headerValue, write: 'value' },
      },
      docs: 'Header names with the exact value, or `*` for "present".',
      example: '{ x-beta: "1" }',
    },
    query: {
      kind: { type: 'map', key: queryName, keyName: 'name', of: { type: 'string', form: anyText, write: 'value' } },
      docs: 'Query parameters with the exact decoded value, or `*` for "present".',
      example: '{ version: "2" }',
    },
    client: {
      kind: clientMatchKind,
      docs: 'Clients by their certificate: any of these. Needs `clients` on the site.',
      example: '[{ san: billing.internal }]',
    },
    ja4: {
      kind: { type: 'list', of: { type: 'string', form: ja4, write: 'JA4' }, single: true },
      docs: 'Clients by the JA4 fingerprint of their TLS ClientHello, which may end with `*`. A hint about the program, never proof.',
      example: 't13d1516h2_8daaf6152771_*',
    },
    proxy: {
      kind: { type: 'object', shape: proxyMatchShape },
      docs: 'The private connection of a cloud that the client came through, by a PROXY header. Needs `proxyProtocol` on a listener.',
      example: '{ awsVpceId: vpce-08d2bf15fac5001c9 }',
    },
  },
})

export const redirectShape = shape({
  name: 'redirect',
  docs: 'Answers with a redirect instead of asking a backend.',
  rows: {
    to: {
      kind: { type: 'string', form: parseLocation, write: 'URL or path' },
      required: true,
      docs: 'The Location, a [template](templates.md) whose values are encoded as their position requires. `{host}`, `{path}` and `{query}` are short for `{request.host}`, `{request.path}` and `{request.query}`.',
      example: 'https://www.example.com{request.path}{request.query}',
    },
    status: {
      kind: { type: 'choice', of: [301, 302, 303, 307, 308] },
      default: 308,
      docs: '308 is permanent and 307 temporary, and both keep the method; browsers remember permanent redirects.',
      example: '302',
    },
  },
})

export const respondShape = shape({
  name: 'respond',
  docs: 'Answers with a fixed response instead of asking a backend.',
  rows: {
    status: {
      kind: { type: 'integer', min: 200, max: 599 },
      default: 200,
      docs: 'The status code.',
      example: '404',
    },
    body: {
      kind: { type: 'string', form: anyText, write: 'text' },
      default: '',
      docs: 'The body, sent as UTF-8.',
      example: '"ok"',
    },
    headers: {
      kind: {
        type: 'map',
        key: headerName,
        keyName: 'name',
        of: { type: 'string', form: headerValue, write: 'value' },
      },
      docs: 'Further headers. A body without a `content-type` here is `text/plain; charset=utf-8`.',
      example: '{ cache-control: no-store }',
    },
  },
})

const { body, bodyRate } = limitsRows
const inherited = 'that of the site, or the one for all routes'
/** Without a default of its own: what is not written here is what the level above says. */
const inherit = <R extends Row>({ default: _, ...rest }: R) => ({ ...rest, defaultDocs: inherited })

export const routeLimitsShape = shape({
  name: 'limits of a route',
  docs: 'Overrides, for a site or a route, the limits for all routes.',
  rows: { body: inherit(body), bodyRate: inherit(bodyRate) },
})

type Inherited<R> = Omit<R, 'default'> & { readonly defaultDocs: string }
type RouteTimeoutRows = { readonly [N in (typeof routeTimeoutNames)[number]]: Inherited<(typeof timeoutsRows)[N]> }

export const routeTimeoutsShape = shape({
  name: 'timeouts of a route',
  docs: 'Overrides, for a site or a route, the timeouts for all routes.',
  rows: Object.fromEntries(routeTimeoutNames.map(name => [name, inherit(timeoutsRows[name])])) as RouteTimeoutRows,
})

export const routeShape = shape({
  name: 'route',
  docs: 'Which requests, and exactly one of `to`, `files`, `redirect` and `respond`.',
  rows: {
    match: {
      kind: { type: 'object', shape: matchShape },
      default: {},
      defaultDocs: 'every request',
      docs: 'Which requests.',
      example: '{ path: /api/*, method: [GET, POST] }',
    },
    to: {
      kind: targetKind,
      docs: 'The backends: a URL, a list of URLs, the name of an upstream, or an inline upstream.',
      example: 'http://10.0.0.7:8080',
    },
    files: {
      kind: { type: 'object', shape: filesShape },
      docs: 'Answer with files of a folder.',
      example: '{ root: ./public }',
    },
    redirect: {
      kind: { type: 'object', shape: redirectShape },
      docs: 'Answer with a redirect.',
      example: '{ to: /new, status: 302 }',
    },
    respond: {
      kind: { type: 'object', shape: respondShape },
      docs: 'Answer with a fixed response.',
      example: '{ status: 404, body: "gone" }',
    },
    clients: {
      kind: { type: 'choice', of: ['require'] },
      docs: 'On a site with `clients: { verify: optional }`: only clients with a certificate may use this route; others get a 403.',
      example: 'require',
    },
    use: useRow,
    timeouts: {
      kind: { type: 'object', shape: routeTimeoutsShape },
      default: {},
      docs: 'Timeouts of this route.',
      example: '{ response: 5m }',
    },
    limits: {
      kind: { type: 'object', shape: routeLimitsShape },
      default: {},
      docs: 'Limits of this route.',
      example: '{ body: 100mb }',
    },
    filters: {
      kind: { type: 'list', of: { type: 'filter' }, empty: true },
      docs: 'Filters of this route, run after those of the configuration; TypeScript only.',
    },
    ...featureRows,
  },
})
