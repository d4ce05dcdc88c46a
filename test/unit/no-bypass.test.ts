/**
 * No bypass, as a property: over random site tables, hellos (case, wildcards, no name, trailing dot, IDN, cut into
 * records and chunks anywhere), resumed sessions, Hosts, versions of HTTP, cleartext and reloads in the middle of a
 * connection, no request ever reaches a route whose client-certificate terms its connection did not meet. The TLS
 * library is taken to let everything through, so that what holds is our own. The oracle shares no code with the gateway.
 */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { CidrSet } from '../../src/base/ip.ts'
import { siteTables } from '../../src/gateway/site-tables.ts'
import type { Bundle } from '../../src/model/certificate.ts'
import type { ClientIdentity, ClientTerms } from '../../src/model/client-identity.ts'
import type { Connection } from '../../src/model/connection.ts'
import { byPhase } from '../../src/model/filter.ts'
import { policies } from '../../src/model/policies.ts'
import type { Route } from '../../src/model/route.ts'
import type { Site } from '../../src/model/site.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { needsNoBody } from '../../src/model/stage.ts'
import type { ServerTls } from '../../src/model/tls-terms.ts'
import { decide } from '../../src/proxy/accept/decide.ts'
import { locate } from '../../src/proxy/exchange/locate.ts'
import { identify } from '../../src/proxy/seam/client-certificate.ts'
import { Forwarding } from '../../src/proxy/seam/forward.ts'
import { routeTable } from '../../src/route/match.ts'
import { siteTls } from '../../src/tls/site-tls.ts'
import { Fields } from '../../src/wire/fields.ts'
import type { RequestHead } from '../../src/wire/heads.ts'
import { HelloReader } from '../../src/wire/hello-reader.ts'
import { sized } from '../harness/scale.ts'
import { alpn, hello as helloOf, record, signatures, sni, versions } from '../wire/hello-bytes.ts'

const cases = sized(2_000, 10_000)

let seed = 20_261_121
const random = (below: number): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return Math.floor((seed / 2 ** 32) * below)
}
const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T
const chance = (percent: number): boolean => random(100) < percent

const hosts = [
  'a.test',
  'b.test',
  '*.a.test',
  'x.a.test',
  '*.test',
  '*.x.a.test',
  'xn--bcher-kva.test',
  '10.0.0.1',
  'deep.x.a.test',
]
const asked = [
  ...hosts.filter(host => !host.startsWith('*')),
  'y.a.test',
  'c.test',
  'no.such.name',
  'z.deep.x.a.test',
  '',
]

/** A certificate is `CA:serial`; the serial 666 is revoked, and 777 has a weak key. */
type Certificate = `${'A' | 'B'}:${number}`
const certificates: readonly Certificate[] = ['A:1', 'A:666', 'A:777', 'B:2', 'B:666', 'B:777']

type Mode = 'none' | 'optional' | 'require'
type Plan = {
  hosts: string[]
  mode: Mode
  ca: 'A' | 'B'
  weak: 'refuse' | 'allow'
  policy: 'modern' | 'intermediate'
  default: boolean
  listeners: string[]
}

function termsOf({ mode, ca, weak }: Plan): ClientTerms | null {
  if (mode === 'none') return null
  return {
    mode,
    caPem: ca,
    forward: [],
    issuerFault: () => null,
    key: `${mode} ${ca} ${weak}`,
    read: ([leaf]) =>
      ({ fingerprint: String(leaf).split(':')[1], issuerFingerprint: String(leaf)[0] }) as ClientIdentity,
    refusal: ({ fingerprint }) =>
      fingerprint === '666' ? 'revoked' : fingerprint === '777' && weak === 'refuse' ? 'weak' : null,
  }
}

const bundle = { chainPem: '', keyPem: '', keyType: 'ecdsa', fingerprint256: 'one' } as Bundle
const none = { connectMs: 0, responseMs: 0, bodyIdleMs: 0, idleMs: 0, filterMs: 0, totalMs: 0, tunnelIdleMs: null }

function routeOf(name: string, path: string, requireClient: boolean): Route {
  return {
    name,
    match: { paths: [path], methods: [], headers: [], query: [], clients: [], ja4: [], proxy: null },
    origin: () => needsNoBody,
    refused: () => needsNoBody,
    timeouts: none,
    bodyRateBytes: 0,
    filters: byPhase([]),
    requireClient,
  }
}

function table(): { plans: Plan[]; snapshot: Snapshot } {
  const left = [...hosts]
  const plans: Plan[] = []
  for (let count = 2 + random(5); count > 0 && left.length > 1; count--) {
    const own = Array.from({ length: 1 + random(2) }, () => left.splice(random(left.length), 1)[0] as string)
    plans.push({
      hosts: own,
      mode: pick(['none', 'optional', 'require', 'require']),
      ca: pick(['A', 'B']),
      weak: pick(['refuse', 'refuse', 'allow']),
      policy: pick(['modern', 'intermediate']),
      default: false,
      listeners: chance(25) ? [pick(['a', 'b'])] : [],
    })
  }
  if (chance(40)) pick(plans).default = true
  const sites: Site[] = []
  for (const plan of plans) {
    const clients = termsOf(plan)
    const routes = [routeOf('all', '/*', false)]
    if (clients !== null) routes.push(routeOf('admin', '/admin/*', true))
    const tls = siteTls({ for: () => [bundle] }, policies[plan.policy], ['h2', 'http/1.1'], clients)
    const site: Site = {
      name: plan.hosts[0] as string,
      hosts: plan.hosts,
      listeners: plan.listeners,
      termsKey: `${plan.policy} ${clients?.key ?? ''}`,
      policy: plan.policy,
      clients,
      fingerprints: { wanted: false, block: [] },
      action: { kind: 'http', fallback: routeOf('fallback', '/*', false), routes: routeTable(routes), tls },
    }
    sites.push(site)
  }
  const limits = { helloBytes: 65_536 } as Snapshot['limits']
  return {
    plans,
    snapshot: {
      version: 1,
      ...siteTables(sites, site => plans.some(plan => plan.default && plan.hosts[0] === site.name)),
      fallback: routeOf('fallback', '/*', false),
      limits,
      timeouts: {} as Snapshot['timeouts'],
    },
  }
}

/** The name in another spelling that means the same, or nearly. */
function spelled(name: string): string {
  let text = name
  if (chance(40)) text = [...text].map(char => (chance(50) ? char.toUpperCase() : char)).join('')
  if (text !== '' && chance(15)) text += '.'
  if (chance(5)) text = text.replace('xn--bcher-kva', 'b\xc3\xbccher')
  return text
}

/** A hello for this name, in records and chunks cut anywhere. */
function sayHello(name: string) {
  const extensions = [versions(0x0304, 0x0303), signatures(0x0403), alpn('h2', 'http/1.1')]
  if (name !== '') extensions.unshift(sni(name))
  const whole = helloOf({ extensions })
  const cuts = [0, ...Array.from({ length: random(4) }, () => 1 + random(whole.length - 1)), whole.length].sort(
    (a, b) => a - b,
  )
  const records = cuts
    .slice(1)
    .map((to, at) => whole.subarray(cuts[at], to))
    .filter(part => part.length > 0)
  const bytes = Buffer.concat(records.map(part => record(part)))
  const reader = new HelloReader(null, 65_536)
  for (let at = 0; at < bytes.length; ) {
    const to = Math.min(bytes.length, at + 1 + random(bytes.length))
    const peeked = reader.push(bytes.subarray(at, to))
    if (peeked.kind !== 'incomplete') return peeked
    at = to
  }
  return { kind: 'incomplete' } as const
}

/** What the table says about a host, by the plainest reading of it. */
function planOf(all: readonly Plan[], host: string, listener: string | null): Plan | null {
  const plans = all.filter(
    ({ listeners }) => listeners.length === 0 || (listener !== null && listeners.includes(listener)),
  )
  const name = host.replace(/:\d+$/, '').replace(/\.$/, '').toLowerCase()
  const exact = plans.find(plan => plan.hosts.includes(name))
  const wild = plans.find(plan => plan.hosts.includes(name.replace(/^[^.]+\./, '*.')) && /^[^.]+\./.test(name))
  return exact ?? wild ?? plans.find(plan => plan.default) ?? null
}

const requestHead = (host: string, path: string, claims: Fields | null): RequestHead =>
  ({
    method: 'GET',
    target: path,
    host: host === '' ? null : host.toLowerCase(),
    fields: new Fields(''),
    claims,
    contentLength: -1,
  }) as RequestHead

it(`no request reaches a route whose client terms its connection did not meet: ${cases} random connections`, () => {
  let reached = 0
  let guarded = 0
  let turnedAway = 0
  let resumedSessions = 0
  for (let run = 0; run < cases; run++) {
    let { plans, snapshot } = table()
    const tickets: { context: string; shown: Certificate | null }[] = []
    for (let connections = 0; connections < 3; connections++) {
      const secure = !chance(10)
      const connection = {
        link: { peerCertificate: null },
        listener: { name: pick([null, 'a', 'b']) },
        trust: chance(30) ? { from: new CidrSet(['127.0.0.0/8']), fields: 'x-forwarded', host: true } : null,
        httpsOnly: false,
        secure,
        clientAddress: '127.0.0.1',
        serverPort: 443,
        serverName: null,
        site: null,
        identity: null,
        fingerprint: null,
        cloud: null,
      } as unknown as Connection & { link: { peerCertificate: unknown } }
      /** What the client has in truth proved on this connection */
      let proved: Certificate | null = null
      let verifiedBy: string | null = null
      if (secure) {
        const peeked = sayHello(spelled(pick(asked)))
        if (peeked.kind !== 'hello') continue
        const verdict = decide(snapshot, connection.listener.name, peeked.hello, () => '10.0.0.1')
        if (verdict.kind !== 'terminate') continue
        connection.site = verdict.site
        connection.serverName = peeked.hello.serverName
        const terms = verdict.tls.terms(peeked.hello, peeked.hello.serverName ?? '') as ServerTls
        const ticket = chance(50) ? tickets.find(each => each.context === terms.sessionContext) : undefined
        if (ticket !== undefined) resumedSessions++
        const shown = ticket !== undefined ? ticket.shown : chance(70) ? pick(certificates) : null
        if (terms.clients !== null && shown !== null) {
          const verifies = shown.startsWith(terms.clients.caPem)
          connection.link.peerCertificate = { chain: [Buffer.from(shown)], problem: verifies ? null : 'another CA' }
          if (verifies) {
            proved = shown
            verifiedBy = terms.clients.caPem
          }
        }
        tickets.push({ context: terms.sessionContext, shown: terms.clients === null ? null : shown })
        if (identify(connection, verdict.site.clients, 0) !== null) {
          turnedAway++
          continue
        }
      }
      const forwarding = new Forwarding(connection)
      for (let requests = 0; requests < 4; requests++) {
        // A reload may put any other table into force under an open connection.
        if (chance(10)) ({ plans, snapshot } = table())
        // A trusted proxy names another host, and says that its client came by https.
        const claimed = connection.trust !== null && chance(70) ? spelled(pick(asked)) : null
        const lines = `x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\n`
        const hostLine = claimed === null || claimed === '' ? '' : `x-forwarded-host: ${claimed}\r\n`
        const claims = connection.trust === null ? null : new Fields(lines + hostLine)
        const named = spelled(pick(asked))
        // Other bytes do not get past the parsers.
        if (!/^[\x21-\x7e]*$/.test(named) || !/^[\x21-\x7e]*$/.test(claimed ?? '')) continue
        const host = named !== '' && chance(20) ? `${named}:8443` : named
        const path = chance(30) ? '/admin/x' : pick(['/', '/x', '/admin', '/%61dmin/x'])
        const exchange = {
          head: requestHead(host, path, claims),
          path: '',
          query: '',
          host: host.toLowerCase(),
          site: null,
          client: forwarding.connection,
          route: null as Route | null,
          refusing: snapshot.fallback,
        }
        if (locate(exchange, forwarding, snapshot, { httpsPort: () => '' }) !== null) continue
        reached++
        const effective = claimed || host
        const own = effective === '' ? plans.find(each => each.hosts[0] === forwarding.site?.name) : undefined
        const plan = own ?? planOf(plans, effective, connection.listener.name)
        assert.equal(exchange.client.clientAddress, claims === null ? '127.0.0.1' : '192.0.2.1')
        assert.ok(plan, `${host} has no site, and was served`)
        assert.equal(forwarding.site?.name, plan.hosts[0], host)
        const required = plan.mode === 'require' || (plan.mode === 'optional' && /^\/(admin|%61dmin)\b/.test(path))
        if (!required) continue
        guarded++
        assert.ok(proved !== null, `${host}${path} was reached without a certificate`)
        assert.equal(verifiedBy, plan.ca, `${host}${path} was reached with a certificate of another CA`)
        assert.ok(!proved.endsWith(':666'), `${host}${path} was reached with a revoked certificate`)
        assert.ok(
          !proved.endsWith(':777') || plan.weak === 'allow',
          `${host}${path} was reached with a weak certificate`,
        )
      }
    }
  }
  // A run that reaches nothing would prove nothing.
  assert.ok(
    reached > cases && guarded > cases / 10 && turnedAway > cases / 10 && resumedSessions > cases / 10,
    `${reached} ${guarded} ${turnedAway} ${resumedSessions}`,
  )
})
