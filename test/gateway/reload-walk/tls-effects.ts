/** Rows that say how TLS with clients ends: certificates, policies, client certificates, session tickets. */
import { abilities } from '../../../src/base/runtime.ts'
import { crlOf } from '../../harness/crl.ts'
import type { Effect, Table } from './effect.ts'
import { ca, certificateFolder, fileWith, longer, one, otherCa, stapled, textOf, two } from './peers.ts'
import type { Running } from './running.ts'

const listen = [{ port: 0, address: '127.0.0.1' }]
const log = { access: false }
const routes = [{ respond: { body: 'here' } }]
const pair = { chain: one.chainFile, key: one.keyFile }
const withSite =
  (site: object, more: object = {}) =>
  () => ({
    listen,
    log,
    sites: [{ host: 'a.test', certificate: pair, routes, ...site }],
    ...more,
  })

const chain = async (running: Running) => (await running.terms()).chainPem
const term =
  (name: 'minVersion' | 'maxVersion' | 'ciphers' | 'groups' | 'serverOrder') => async (running: Running) =>
    (await running.terms())[name]

const client = {
  dnsNames: ['bob'],
  uris: ['spiffe://e/x'],
  emails: [],
  subject: 'CN=bob',
  issuerFingerprint: '5f7c'.repeat(16),
  notBefore: 0,
  notAfter: Number.MAX_SAFE_INTEGER,
  weakness: null as string | null,
  path: { steps: [], complete: true },
}
/** Why a client with a certificate like that is refused, or null */
const refusal =
  (change: object = {}) =>
  (running: Running) =>
    running.site().clients?.refusal({ ...client, ...change } as never, Date.now()) ?? null
const step = { issuerDer: otherCa.subjectDer, serial: '01', isCa: false, points: [], issuerKeys: [] }

const allowing = (row: string, value: string, other: string): Record<string, Effect> => ({
  [`sites[].clients.allow[].${row}`]: {
    given: { 'sites[].clients.allow': [{ [row]: other }] },
    to: value,
    look: refusal(),
    sees: null,
  },
})

const certificates: Table = {
  name: 'certificates of sites',
  base: withSite({}),
  effects: {
    'sites[].certificate': { to: { chain: two.chainFile, key: two.keyFile }, look: chain, sees: two.chainPem },
    'sites[].certificate.chain': { to: longer, look: chain, sees: textOf(longer) },
    'sites[].certificate.key': { to: two.keyFile, refused: /key/ },
    'sites[].certificate[].chain': {
      given: { 'sites[].certificate': [pair] },
      to: longer,
      look: chain,
      sees: textOf(longer),
    },
    'sites[].certificate[].key': { given: { 'sites[].certificate': [pair] }, to: two.keyFile, refused: /key/ },
    'sites[].certificate.directory': {
      given: { 'sites[].certificate': { directory: certificateFolder(one) } },
      to: certificateFolder(two),
      look: chain,
      sees: two.chainPem,
    },
    'sites[].ocsp': {
      given: { 'sites[].certificate': { chain: stapled.chainFile, key: stapled.keyFile } },
      to: 'staple',
      // A runtime that cannot says so.
      look: async running =>
        abilities.stapling
          ? (await running.terms()).staple !== null
          : running.warnings.some(text => /^ocsp: /.test(text)),
      sees: true,
    },
    'sites[].ja4.forward': { to: true, look: running => running.site().fingerprints.wanted, sees: true },
    'sites[].ja4.block': {
      to: ['t13d190900_9dc949149365_*'],
      look: running => running.site().fingerprints.block,
      sees: ['t13d190900_9dc949149365_*'],
    },
  },
}

const clients: Table = {
  name: 'client certificates',
  base: withSite({ clients: { ca: [ca.file] } }),
  effects: {
    'sites[].clients': { to: undefined, look: async running => (await running.terms()).clients, sees: null },
    'sites[].clients.ca': {
      to: [otherCa.file],
      look: async running => (await running.terms()).clients?.caPem,
      sees: otherCa.certificatePem,
    },
    'sites[].clients.verify': {
      to: 'optional',
      look: async running => (await running.terms()).clients?.require,
      sees: false,
    },
    'sites[].clients.crl': {
      to: [fileWith('revoked.crl', crlOf(ca, []))],
      look: refusal({ path: { steps: [step], complete: true } }),
      sees: 'no CRL of its issuer is in clients.crl',
    },
    'sites[].clients.forward': { to: ['xfcc'], look: running => running.site().clients?.forward, sees: ['xfcc'] },
    'sites[].clients.allow': {
      to: [{ san: 'alice' }],
      look: refusal(),
      sees: 'CN=bob is not in clients.allow',
    },
    ...allowing('san', 'bob', 'alice'),
    ...allowing('dn', 'CN=bob', 'CN=alice'),
    ...allowing('spiffe', 'spiffe://e/x', 'spiffe://e/y'),
    ...allowing('issuer', '5f7c'.repeat(16), '0000'.repeat(16)),
    'sites[].clients.weak': { to: 'allow', look: refusal({ weakness: 'it is short' }), sees: null },
  },
}

const policies: Table = {
  name: 'policies',
  base: withSite({ policy: 'own' }, { policies: { own: { extends: 'intermediate' } } }),
  effects: {
    policy: { given: { 'sites[].policy': undefined }, to: 'modern', look: term('minVersion'), sees: 'TLSv1.3' },
    'sites[].policy': { to: 'modern', look: term('minVersion'), sees: 'TLSv1.3' },
    policies: { to: { own: { extends: 'modern' } }, look: term('minVersion'), sees: 'TLSv1.3' },
    'policies.*.extends': { to: 'modern', look: term('minVersion'), sees: 'TLSv1.3' },
    'policies.*.minVersion': { to: 'TLSv1.3', look: term('minVersion'), sees: 'TLSv1.3' },
    'policies.*.maxVersion': { to: 'TLSv1.2', look: term('maxVersion'), sees: 'TLSv1.2' },
    'policies.*.ciphers': {
      to: ['ECDHE-ECDSA-AES128-GCM-SHA256'],
      look: term('ciphers'),
      sees: (list: unknown) =>
        !String(list).includes('AES256-GCM-SHA384:ECDHE') && /AES128-GCM-SHA256$/.test(String(list)),
    },
    'policies.*.groups': { to: ['X25519'], look: term('groups'), sees: 'X25519' },
    'policies.*.order': { to: 'client', look: term('serverOrder'), sees: false },
  },
}

/** On a runtime that takes no keys: whether it says so */
const ticketLife = ({ parts, warnings }: Running) =>
  abilities.ticketKeys ? parts.tickets.lifetimeSeconds : warnings.some(text => /^tickets: /.test(text))
const life = (seconds: number) => (abilities.ticketKeys ? seconds : true)

const tickets: Table = {
  name: 'keys of session tickets',
  base: withSite({}),
  effects: {
    'tickets.rotate': { to: '6h', look: ticketLife, sees: life(18 * 3600) },
    'tickets.keep': { to: 4, look: ticketLife, sees: life(48 * 3600) },
  },
}

export const tlsTables: readonly Table[] = [certificates, clients, policies, tickets]
