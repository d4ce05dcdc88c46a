/** Rows of backends, in each of the places where they may be written, and of layer-4 sites. */
import { X509Certificate } from 'node:crypto'
import type { SiteAction } from '../../../src/model/site.ts'
import type { Endpoint } from '../../../src/proxy/upstream/endpoint.ts'
import { craft, rsa } from '../../harness/weak-certificates.ts'
import { type Effect, type Table, under } from './effect.ts'
import { ca, longer, one, otherCa, textOf, two, workload } from './peers.ts'
import type { Running } from './running.ts'

const tcp = (port: number) => `127.0.0.1:${port}`
const endpoint = ({ upstream }: Running) => upstream.set.endpoints[0] as Endpoint
const tls = (running: Running) => endpoint(running).tls as NonNullable<Endpoint['tls']>
const labels = ({ upstream }: Running) => upstream.set.endpoints.map(({ label }) => label)
/** No algorithm that is asked here looks at the request. */
const request = {
  clientAddress: '127.0.0.1',
  host: 'a.test',
  path: '/',
  query: '',
  ja4: null,
  clientSubject: null,
  field: () => null,
}

/** Which endpoints are chosen while the first is busy */
function chosen({ upstream }: Running): number {
  const busy = upstream.set.endpoints[0] as Endpoint
  busy.active += 5
  const picked = new Set([upstream.pick(request, []), upstream.pick(request, [])])
  busy.active -= 5
  return picked.size
}

const weak = craft('a.test', { key: rsa(1024), dnsNames: ['a.test'] })
const nameless = craft('a.test', { dnsNames: [] })
/** What the judge of backends says to one with this certificate */
const judged = (pem: string) => (running: Running) =>
  tls(running).judge?.problem([new X509Certificate(pem).raw], false)

const backends: Readonly<Record<string, Effect>> = {
  endpoints: { to: ['https://127.0.0.1:2'], look: labels, sees: ['127.0.0.1:2'] },
  balance: {
    given: { endpoints: ['https://127.0.0.1:1', 'https://127.0.0.1:2'] },
    to: 'least-requests',
    look: chosen,
    sees: 1,
  },
  hash: {
    given: { balance: 'maglev', hash: 'ja4' },
    to: 'address',
    look: ({ upstream }) => upstream.terms.hash,
    sees: 'address',
  },
  'hash.header': {
    given: { balance: 'maglev', hash: { header: 'x-a' } },
    to: 'x-b',
    look: ({ upstream }) => upstream.terms.hash,
    sees: 'header:x-b',
  },
  'hash.cookie': {
    given: { balance: 'ring-hash', hash: { cookie: 'a' } },
    to: 'b',
    look: ({ upstream }) => upstream.terms.hash,
    sees: 'cookie:b',
  },
  'hash.query': {
    given: { balance: 'ring-hash', hash: { query: 'a' } },
    to: 'b',
    look: ({ upstream }) => upstream.terms.hash,
    sees: 'query:b',
  },
  outlier: { to: {}, look: ({ upstream }) => upstream.outlier !== null, sees: true },
  'outlier.consecutive': {
    given: { outlier: {} },
    to: 3,
    look: ({ upstream }) => upstream.terms.outlier?.consecutive,
    sees: 3,
  },
  'outlier.ejection': {
    given: { outlier: {} },
    to: '7s',
    look: ({ upstream }) => upstream.terms.outlier?.ejectionMs,
    sees: 7_000,
  },
  'outlier.maxEjected': {
    given: { outlier: {} },
    to: '20%',
    look: ({ upstream }) => upstream.terms.outlier?.maxEjectedPercent,
    sees: 20,
  },
  'outlier.statuses': {
    given: { outlier: {} },
    to: [500],
    look: ({ upstream }) => upstream.terms.outlier?.statuses,
    sees: [500],
  },
  'endpoints[].url': {
    given: { endpoints: [{ url: 'https://127.0.0.1:1' }] },
    to: 'https://127.0.0.1:2',
    look: labels,
    sees: ['127.0.0.1:2'],
  },
  'endpoints[].weight': {
    given: { endpoints: [{ url: 'https://127.0.0.1:1', weight: 2 }] },
    to: 3,
    look: running => endpoint(running).weight,
    sees: 3,
  },
  'endpoints[].backup': {
    given: { endpoints: [{ url: 'https://127.0.0.1:1', backup: true }, 'https://127.0.0.1:2'] },
    to: false,
    look: ({ upstream }) => upstream.set.tiers.length,
    sees: 1,
  },
  'tls.ca': { to: otherCa.file, look: running => tls(running).caPem, sees: otherCa.certificatePem },
  'tls.serverName': { to: 'pay.internal', look: running => tls(running).serverName, sees: 'pay.internal' },
  'tls.spiffe': {
    given: { 'tls.spiffe': ['spiffe://e/a'] },
    to: ['spiffe://e/b'],
    look: judged(workload.chainPem),
    sees: null,
  },
  'tls.certificate': {
    to: { chain: one.chainFile, key: one.keyFile },
    look: running => tls(running).chainPem,
    sees: one.chainPem,
  },
  'tls.certificate.chain': {
    given: { 'tls.certificate': { chain: one.chainFile, key: one.keyFile } },
    to: longer,
    look: running => tls(running).chainPem,
    sees: textOf(longer),
  },
  'tls.certificate.key': {
    given: { 'tls.certificate': { chain: one.chainFile, key: one.keyFile } },
    to: two.keyFile,
    refused: /key/,
  },
  'tls.verify': { to: false, look: running => tls(running).verify, sees: false },
  'tls.weak': { given: { 'tls.commonName': 'allow' }, to: 'allow', look: judged(weak.pem), sees: null },
  'tls.commonName': { given: { 'tls.weak': 'allow' }, to: 'allow', look: judged(nameless.pem), sees: null },
  'pool.idle': { to: 3, look: ({ upstream }) => upstream.terms.maxIdle, sees: 3 },
  host: { to: 'endpoint', look: ({ upstream }) => upstream.terms.hostHeader, sees: 'endpoint' },
  http: { to: 1, look: running => [endpoint(running).http, tls(running).alpn], sees: [1, ['http/1.1']] },
  lenient: {
    to: ['bare-lf'],
    look: running => [...(endpoint(running).spoken.lenient?.allowed ?? [])],
    sees: ['bare-lf'],
  },
}

const backendsAt = (prefix: string) => under(prefix, backends)

const upstream = { endpoints: ['https://127.0.0.1:1'], tls: { ca: ca.file } }
const listen = [{ port: 0, address: '127.0.0.1' }]
const site = { host: 'a.test', certificate: 'local' }
const log = { access: false }

/** The site forwards bytes */
const bytes = (running: Running) => running.site().action as Exclude<SiteAction, { kind: 'http' }>

const postgresSite: Effect = {
  to: 'postgres',
  look: running => running.snapshot.startTls.get('postgres')?.map(({ name }) => name) ?? [],
  sees: ['a.test'],
}

const layer4 = (prefix: string): Record<string, Effect> =>
  under(prefix, {
    '': { to: { to: [tcp(2)] }, look: labels, sees: [tcp(2)] },
    '.to': { to: [tcp(2)], look: labels, sees: [tcp(2)] },
    '.balance': { given: { '.to': [tcp(1), tcp(2)] }, to: 'least-requests', look: chosen, sees: 1 },
    '.proxyProtocol': { to: 'v2', look: running => running.upstream.terms.proxyProtocol, sees: 'v2' },
    '.timeouts.connect': { to: '1s', look: running => bytes(running).timeouts.connectMs, sees: 1_000 },
    '.timeouts.idle': { to: '8h', look: running => bytes(running).timeouts.idleMs, sees: 28_800_000 },
    '.timeouts.lifetime': { to: '24h', look: running => bytes(running).timeouts.lifetimeMs, sees: 86_400_000 },
    '.limits.connectionsPerClient': { to: 20, look: running => bytes(running).connectionsPerClient, sees: 20 },
  })

export const upstreams: readonly Table[] = [
  {
    name: 'backends of a route',
    base: () => ({ listen, log, sites: [{ ...site, routes: [{ to: upstream }] }] }),
    effects: backendsAt('sites[].routes[].to.'),
  },
  {
    name: 'backends of a site',
    base: () => ({ listen, log, sites: [{ ...site, to: upstream }] }),
    effects: backendsAt('sites[].to.'),
  },
  {
    name: 'backends with a name',
    base: () => ({ listen, log, sites: [{ ...site, to: 'one' }], upstreams: { one: upstream } }),
    effects: {
      ...backendsAt('upstreams.*.'),
      upstreams: { to: { one: { endpoints: ['http://127.0.0.1:3'] } }, look: labels, sees: ['127.0.0.1:3'] },
    },
  },
  {
    name: 'passthrough sites',
    base: () => ({ listen, log, sites: [{ host: 'a.test', passthrough: { to: [tcp(1)] } }] }),
    effects: {
      ...layer4('sites[].passthrough'),
      'sites[].passthrough.startTls': postgresSite,
    },
  },
  {
    name: 'tcp sites',
    base: () => ({ listen, log, sites: [{ ...site, tcp: { to: [tcp(1)] } }] }),
    effects: {
      ...layer4('sites[].tcp'),
      'sites[].tcp.alpn': {
        to: ['postgresql'],
        look: async running => (await running.terms()).alpn,
        sees: ['postgresql'],
      },
      'sites[].tcp.startTls': postgresSite,
    },
  },
]
