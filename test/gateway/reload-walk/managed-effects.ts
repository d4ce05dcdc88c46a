/**
 * Rows of certificates that are ordered, and of what that needs: ACME, Vault, storage, the internal CA. Nobody answers
 * there. An issuer, a storage or a CA server is opened with its terms and lives as long as these stay the same: the look
 * is at the one in use, by the terms that it was opened with.
 */
import { initInternalCa } from '../../../src/certs/ca/internal-ca.ts'
import { keyOf } from '../../../src/gateway/certificates/internal-ca-slot.ts'
import { temporaryFolder } from '../../harness/certificates.ts'
import { eventually } from '../../harness/until.ts'
import type { Effect, Table, Values } from './effect.ts'
import { authority, ca, echo, fileWith, one, otherAuthority, otherCa, two } from './peers.ts'
import type { Running } from './running.ts'

const nobody = 'https://127.0.0.1:9'
const listen = [
  { port: 0, address: '127.0.0.1' },
  { port: 0, address: '127.0.0.1', cleartext: 'redirect' },
]
const log = { level: 'error', access: false }
const routes = [{ respond: { body: 'here' } }]
const state = temporaryFolder()
initInternalCa(state, { name: 'Test internal CA', names: [] })

const has =
  (...parts: readonly unknown[]) =>
  (terms: unknown) =>
    parts.every(part => String(terms).includes(JSON.stringify(part).replace(/^\{|\}$/g, '')))

/** In a form of its own: what is seen differs from before, which the walk asserts */
const anotherSecret = () => true

const acmeTerms = (running: Running) => running.issuer('acme').terms
const vaultTerms = (running: Running) => running.issuer('vault').terms

const seen = (look: (running: Running) => unknown) => ({
  term: (to: unknown, part: unknown, given: Values = {}): Effect => ({ given, to, look, sees: has(part) }),
})
const acme = seen(acmeTerms)
const vault = seen(vaultTerms)

const accounts = { keyId: 'kid-1', key: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajV' }
const otherKey = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7Eaja'
const tsig = { name: 'acme-update', secret: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ==' }
const otherSecret = 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0Pw=='
const rfc2136 = { 'acme.dns': { provider: 'rfc2136', server: '127.0.0.1:9', tsig } }
const webhook = {
  'acme.dns': { provider: 'webhook', url: nobody, token: 'a-token', secret: 'a-secret', ca: ca.file },
}
const acmeDns = {
  'acme.dns': { provider: 'acme-dns', url: nobody, username: 'user', password: 'pass', subdomain: 'sub' },
}
const program = { 'acme.dns': { provider: 'program', program: fileWith('dns.sh', 'exit 1') } }
const onDemand = { 'acme.onDemand': { ask: nobody, allow: ['*.b.test'] } }
const fallback = {
  directory: `${nobody}/second`,
  email: 'b@a.test',
  ca: ca.file,
  externalAccount: accounts,
  profile: 'p',
}
const second = { 'acme.fallback': [fallback] }
const otherFile = fileWith('other.pem', otherCa.certificatePem)
const demand = (running: Running) => running.issuer('acme').kept.demand?.onDemand.terms ?? 'none'
const demandOf = (name: string, to: unknown): Effect => ({
  given: onDemand,
  to,
  look: running => (demand(running) as Record<string, unknown>)[name],
  sees: to,
})

const acmeTable: Table = {
  name: 'ACME',
  base: () => ({
    listen,
    log,
    sites: [{ host: 'a.test', certificate: 'acme', routes }],
    acme: {
      directory: `${nobody}/first`,
      email: 'a@a.test',
      ca: ca.file,
      staging: 'none',
      profile: 'p',
      externalAccount: accounts,
    },
  }),
  effects: {
    acme: { to: { directory: `${nobody}/third` }, look: acmeTerms, sees: has({ directory: `${nobody}/third` }) },
    'acme.email': acme.term('b@a.test', { email: 'b@a.test' }),
    'acme.directory': {
      to: `${nobody}/other`,
      look: running => running.issuer('acme').kept.issuer.name,
      sees: `${nobody}/other`,
    },
    'acme.ca': acme.term(otherFile, { caFile: otherFile }),
    'acme.challenges': acme.term(['http-01'], { challenges: ['http-01'] }),
    'acme.profile': acme.term('shortlived', { profile: 'shortlived' }),
    'acme.keys': {
      to: ['rsa'],
      look: running => running.issuer('acme').kept.renewer.options.keys,
      sees: ['rsa'],
    },
    'acme.externalAccount': acme.term(undefined, { externalAccount: null }),
    'acme.externalAccount.keyId': acme.term('kid-2', { keyId: 'kid-2' }),
    'acme.externalAccount.key': acme.term(otherKey, { key: otherKey }),
    'acme.fallback': acme.term([fallback], { directory: `${nobody}/second` }),
    'acme.fallback[].directory': acme.term(`${nobody}/4`, { directory: `${nobody}/4` }, second),
    'acme.fallback[].email': acme.term('c@a.test', { email: 'c@a.test' }, second),
    'acme.fallback[].ca': acme.term(otherFile, { caFile: otherFile }, second),
    'acme.fallback[].externalAccount': acme.term(undefined, { externalAccount: null }, second),
    'acme.fallback[].externalAccount.keyId': acme.term('kid-2', { keyId: 'kid-2' }, second),
    'acme.fallback[].externalAccount.key': acme.term(otherKey, { key: otherKey }, second),
    'acme.fallback[].profile': acme.term('q', { profile: 'q' }, second),
    'acme.staging': acme.term(`${nobody}/trial`, { staging: `${nobody}/trial` }),
    'acme.preferredChain': acme.term('Root X2', { preferredChain: 'Root X2' }),
    'acme.renewBefore': {
      to: '20d',
      look: running => running.issuer('acme').kept.renewer.options.renewBeforeMs,
      sees: 20 * 86_400_000,
    },
    'acme.onDemand': { to: { allow: ['b.test'] }, look: demand, sees: (terms: unknown) => terms !== 'none' },
    'acme.onDemand.ask': demandOf('ask', 'http://127.0.0.1:9/other'),
    'acme.onDemand.allow': demandOf('allow', ['c.test']),
    'acme.onDemand.perMinute': demandOf('perMinute', 3),
    'acme.onDemand.burst': demandOf('burst', 3),
    'acme.onDemand.maxPending': demandOf('maxPending', 3),
    'acme.dns': acme.term(program['acme.dns'], { kind: 'program' }),
    'acme.dns.provider': { given: webhook, to: 'acme-dns', refused: /provider acme-dns/ },
    'acme.dns.server': acme.term('127.0.0.1:10', { server: { host: '127.0.0.1', port: 10 } }, rfc2136),
    'acme.dns.zone': acme.term('b.test', { zone: 'b.test' }, rfc2136),
    'acme.dns.tsig': acme.term(undefined, { tsig: null }, rfc2136),
    'acme.dns.tsig.name': acme.term('other', { name: 'other' }, rfc2136),
    'acme.dns.tsig.algorithm': acme.term('hmac-sha512', { algorithm: 'hmac-sha512' }, rfc2136),
    'acme.dns.tsig.secret': { given: rfc2136, to: otherSecret, look: acmeTerms, sees: anotherSecret },
    'acme.dns.url': acme.term(`${nobody}/hook`, { url: `${nobody}/hook` }, webhook),
    'acme.dns.token': acme.term('b-token', { token: 'b-token' }, webhook),
    'acme.dns.secret': acme.term('b-secret', { secret: 'b-secret' }, webhook),
    'acme.dns.ca': acme.term(otherFile, { caFile: otherFile }, webhook),
    'acme.dns.username': acme.term('user2', { username: 'user2' }, acmeDns),
    'acme.dns.password': acme.term('pass2', { password: 'pass2' }, acmeDns),
    'acme.dns.subdomain': acme.term('sub2', { subdomain: 'sub2' }, acmeDns),
    'acme.dns.program': acme.term(fileWith('dns2.sh', 'exit 1'), { file: fileWith('dns2.sh', 'exit 1') }, program),
    'acme.dns.timeout': acme.term('7s', { timeoutMs: 7_000 }, program),
    'acme.dns.resolvers': acme.term(['127.0.0.1:9'], { resolvers: [{ host: '127.0.0.1', port: 9 }] }, program),
    'acme.dns.propagation.timeout': acme.term('7s', { timeoutMs: 7_000 }, program),
    'acme.dns.propagation.wait': acme.term('7s', { waitMs: 7_000 }, program),
  },
}

const token = { 'vault.auth': { token: 'a-token' } }
const tokenFile = fileWith('token', 'a-token')
const otherTokenFile = fileWith('token2', 'a-token')
const approle = { 'vault.auth': { approle: { roleId: 'r', secretId: 's' } } }
const approleFile = { 'vault.auth': { approle: { roleId: 'r', secretIdFile: tokenFile } } }
const kubernetes = { 'vault.auth': { kubernetes: { role: 'r', jwtFile: tokenFile } } }

const vaultTable: Table = {
  name: 'Vault',
  base: () => ({
    listen,
    log,
    sites: [{ host: 'a.test', certificate: 'vault', routes }],
    vault: { address: nobody, role: 'web', auth: { token: 'first-token' } },
  }),
  effects: {
    vault: vault.term({ address: nobody, role: 'web3', auth: { tokenFile } }, { kind: 'tokenFile' }),
    'vault.address': vault.term('https://127.0.0.1:10', { address: 'https://127.0.0.1:10' }),
    'vault.mount': vault.term('pki2', { mount: 'pki2' }),
    'vault.role': vault.term('web2', { role: 'web2' }),
    'vault.ttl': vault.term('72h', { ttlMs: 72 * 3_600_000 }),
    'vault.namespace': vault.term('team/a', { namespace: 'team/a' }),
    'vault.ca': vault.term(otherFile, { caFile: otherFile }),
    'vault.auth.token': vault.term('b-token', { token: 'b-token' }, token),
    'vault.auth.tokenFile': vault.term(otherTokenFile, { file: otherTokenFile }, { 'vault.auth': { tokenFile } }),
    'vault.auth.approle': vault.term({ roleId: 'r2' }, { roleId: 'r2' }, approle),
    'vault.auth.approle.roleId': vault.term('r3', { roleId: 'r3' }, approle),
    'vault.auth.approle.secretId': vault.term('s2', { value: 's2' }, approle),
    'vault.auth.approle.secretIdFile': vault.term(otherTokenFile, { file: otherTokenFile }, approleFile),
    'vault.auth.approle.mount': vault.term('m2', { mount: 'm2' }, approle),
    'vault.auth.kubernetes': vault.term({ role: 'r2', jwtFile: tokenFile }, { role: 'r2' }, kubernetes),
    'vault.auth.kubernetes.role': vault.term('r3', { role: 'r3' }, kubernetes),
    'vault.auth.kubernetes.jwtFile': vault.term(otherTokenFile, { jwtFile: otherTokenFile }, kubernetes),
    'vault.auth.kubernetes.mount': vault.term('m2', { mount: 'm2' }, kubernetes),
  },
}

const redis = { 'storage.redis': 'rediss://127.0.0.1:9/0' }
const shown = { ...redis, 'storage.certificate': { chain: one.chainFile, key: one.keyFile } }
const sealed = { 'storage.seal.passphrase': 'a passphrase that is long enough' }
const keyFile = (name: string, byte: number) => fileWith(name, Buffer.alloc(32, byte))
const inStorage = (to: unknown, part: unknown, given: Values = redis): Effect => ({
  given,
  to,
  look: running => running.storage(),
  sees: has(part),
})

const storageTable: Table = {
  name: 'storage',
  base: () => ({
    listen,
    log,
    sites: [{ host: 'a.test', certificate: 'acme', routes }],
    acme: { directory: nobody },
  }),
  effects: {
    storage: inStorage({ redis: 'redis://127.0.0.1:9/2' }, { database: 2 }, {}),
    'storage.redis': inStorage('rediss://127.0.0.1:9/3', { database: 3 }),
    'storage.ca': inStorage(otherFile, { caFile: otherFile }),
    'storage.certificate': inStorage({ chain: one.chainFile, key: one.keyFile }, { chainFile: one.chainFile }),
    'storage.certificate.chain': inStorage(two.chainFile, { chainFile: two.chainFile }, shown),
    'storage.certificate.key': inStorage(two.keyFile, { keyFile: two.keyFile }, shown),
    'storage.prefix': inStorage('edge', { prefix: 'edge' }),
    'storage.username': inStorage('me', { username: 'me' }),
    'storage.password': inStorage('secret', { password: 'secret' }),
    'storage.lease': inStorage('30s', { leaseMs: 30_000 }),
    'storage.seal': {
      ...inStorage({ passphrase: 'another one that is long enough' }, 'another one that is long enough', {}),
      once: true,
    },
    'storage.seal.passphrase': { given: sealed, to: 'another one that is long enough', refused: /secret|seal/ },
    'storage.seal.keyFile': {
      given: { 'storage.seal.keyFile': keyFile('1.key', 1) },
      to: keyFile('2.key', 2),
      refused: /secret|seal/,
      once: true,
    },
    'storage.seal.previous': inStorage(
      [{ passphrase: 'an old one that is long enough' }],
      'an old one that is long enough',
      sealed,
    ),
    'storage.seal.previous[].passphrase': inStorage(
      'an older one that is long enough',
      'an older one that is long enough',
      { ...sealed, 'storage.seal.previous': [{ passphrase: 'an old one that is long enough' }] },
    ),
    'storage.seal.previous[].keyFile': inStorage(keyFile('4.key', 4), keyFile('4.key', 4), {
      ...sealed,
      'storage.seal.previous': [{ keyFile: keyFile('3.key', 3) }],
    }),
  },
}

/** The terms of the CA server that runs; it is started anew after the reload. */
async function served({ parts, gateway }: Running): Promise<string> {
  const wanted = gateway.config.ca?.acme == null ? undefined : keyOf(gateway.config)
  await eventually('the CA server', () => parts.managed.internalCa.running?.key === wanted)
  return wanted ?? 'none'
}
const inCa = (to: unknown, part: unknown, given: Values = {}): Effect => ({
  given,
  to,
  look: served,
  sees: has(part),
})
const account = {
  'ca.acme.externalAccounts': { team: { key: Buffer.alloc(32, 1).toString('base64url'), allow: ['a.test'] } },
}
const ownCa = { 'ca.chain': authority.chain, 'ca.key': authority.key }

const caTable: Table = {
  name: 'the internal CA',
  base: () => ({
    state,
    listen,
    log,
    sites: [{ host: 'a.test', certificate: 'local', routes }],
    ca: { allow: ['*.a.test'], acme: { listen: { port: 0, address: '127.0.0.1' }, host: 'ca.a.test' } },
  }),
  effects: {
    ca: { to: undefined, look: served, sees: 'none' },
    'ca.chain': { given: ownCa, to: otherAuthority.chain, refused: /key/ },
    'ca.key': { given: ownCa, to: otherAuthority.key, refused: /key/ },
    'ca.lifetime': inCa('12h', { lifetimeMs: 12 * 3_600_000 }),
    'ca.maxLifetime': inCa('7d', { maxLifetimeMs: 7 * 86_400_000 }),
    'ca.allow': inCa(['*.a.test', 'b.test'], 'b.test'),
    'ca.acme': { to: undefined, look: served, sees: 'none' },
    'ca.acme.listen.port': inCa(echo.sparest, { port: echo.sparest }),
    'ca.acme.listen.address': inCa('127.0.0.2', { address: '127.0.0.2' }),
    'ca.acme.host': inCa('ca2.a.test', { host: 'ca2.a.test' }),
    'ca.acme.challenges': inCa(['tls-alpn-01'], { challenges: ['tls-alpn-01'] }),
    'ca.acme.externalAccounts': inCa({ two: { key: Buffer.alloc(32, 2).toString('base64url') } }, 'two'),
    'ca.acme.externalAccounts.*.key': {
      given: account,
      to: Buffer.alloc(32, 2).toString('base64url'),
      look: served,
      sees: anotherSecret,
    },
    'ca.acme.externalAccounts.*.allow': inCa(['b.test'], 'b.test', account),
    'ca.acme.http01Port': inCa(8080, { http01Port: 8080 }),
    'ca.acme.tlsAlpn01Port': inCa(8443, { tlsAlpn01Port: 8443 }),
    'ca.acme.networks': inCa(['10.0.0.0/8'], '10.0.0.0/8'),
    'ca.acme.resolve': inCa({ 'o.a.test': '10.0.0.5' }, '10.0.0.5'),
    'ca.acme.resolvers': inCa(['10.0.0.53'], '10.0.0.53'),
  },
}

export const managedTables: readonly Table[] = [acmeTable, vaultTable, storageTable, caTable]
