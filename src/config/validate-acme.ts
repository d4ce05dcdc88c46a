/** The `acme` section, from rows to config.ts, held against sites and listeners. */
import { isIP } from 'node:net'
import type { ChallengeKind } from '../model/challenge.ts'
import {
  type AcmeConfig,
  type AcmeIssuerConfig,
  beginsWithTls,
  type ListenConfig,
  type SiteConfig,
} from './config.ts'
import type { Raw, Read } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { type Reader, readDefaults } from './engine/read.ts'
import { childOf, type Node, placeOf, placeOfKey } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import { publicPort } from './listen-address.ts'
import { acmeShape, type fallbackShape } from './schema/acme.ts'
import { validateDns } from './validate-acme-dns.ts'

const letsEncrypt = 'https://acme-v02.api.letsencrypt.org/directory'
const stagingOf: Readonly<Record<string, string>> = {
  [letsEncrypt]: 'https://acme-staging-v02.api.letsencrypt.org/directory',
}

/** @param raw null where the section is not written. @returns null where no site asks for it */
export function validateAcme(
  raw: Raw<typeof acmeShape> | null | undefined,
  tree: Node,
  sites: readonly { readonly site: SiteConfig; readonly node: Node }[],
  listen: readonly ListenConfig[],
  reader: Reader,
): AcmeConfig | null {
  const { problems } = reader
  if (raw === undefined) return null
  const node = childOf(tree, 'acme')
  const asking = sites.filter(({ site }) => site.certificate?.kind === 'acme')
  // A site with a mistake in it is not among them, and may be the one.
  if (asking.length === 0 && node && !problems.failed)
    problems.warn(placeOfKey(tree, 'acme'), 'no site has certificate: acme, so nothing is ordered')
  if (asking.length === 0 && !node) return null
  const section = raw ?? (readDefaults(acmeShape, reader) as Raw<typeof acmeShape>)
  const { email, directory, challenges, dns, keys, fallback, onDemand } = section
  if (email === null && asking.length > 0) {
    const at = node?.at ?? placeOfKey(asking[0]!.node, 'certificate')
    problems.warn(
      at,
      'no e-mail address for the ACME account',
      'add acme: { email: ops@example.com }, where the CA can write to',
    )
  }
  const dnsConfig = dns && node ? validateDns(dns, childOf(node, 'dns')!, problems) : null
  const kinds = challenges && validateChallenges(challenges, dns !== null, node, asking[0]?.node, listen, problems)
  if (onDemand && node) checkOnDemand(onDemand, childOf(node, 'onDemand')!, problems)
  if (keys && new Set(keys).size < keys.length && node)
    problems.error(placeOf(node, 'keys'), 'a key type is listed twice')
  fallback?.forEach((one, index) => {
    const before = [directory, ...fallback.slice(0, index).map(other => other?.directory)]
    if (one?.directory !== undefined && before.includes(one.directory) && node)
      problems.error(
        placeOf(node, 'fallback', index),
        'this CA is already listed',
        'a fallback must be another directory',
      )
  })
  if (kinds && directory !== undefined)
    for (const { site, node: at } of asking) checkHosts(site, at, kinds, directory, onDemand !== null, problems)
  const read = whole(acmeShape, section)
  if (!read || !kinds || dnsConfig === undefined) return null
  return {
    issuers: [issuerOf(read, read), ...read.fallback.map(one => issuerOf(one, { email: read.email }))],
    challenges: kinds,
    dns: dnsConfig,
    keys: read.keys.length === 0 ? ['ecdsa'] : read.keys,
    renewBeforeMs: read.renewBeforeMs,
    onDemand: read.onDemand,
  }
}

type FromSection = Pick<AcmeIssuerConfig, 'email'> & Partial<Pick<AcmeIssuerConfig, 'preferredChain' | 'staging'>>

/** A fallback has the e-mail address of the section where it names none, and neither its chain nor its staging directory. */
function issuerOf(
  { directory, email, caFile, externalAccount, profile }: Read<typeof fallbackShape>,
  { email: shared, preferredChain = null, staging }: FromSection,
): AcmeIssuerConfig {
  return {
    directory,
    email: email ?? shared,
    caFile,
    externalAccount,
    profile,
    preferredChain,
    staging: staging === 'none' ? null : (staging ?? stagingOf[directory] ?? null),
  }
}

/** Written ones must be possible; of the usual ones, those that are. */
function validateChallenges(
  written: readonly ChallengeKind[],
  hasDns: boolean,
  node: Node | undefined,
  asking: Node | undefined,
  listen: readonly ListenConfig[],
  problems: Problems,
): readonly ChallengeKind[] | undefined {
  const clear = listen.filter(one => one.cleartext !== null)
  const secure = listen.filter(beginsWithTls)
  const usual: ChallengeKind[] = hasDns
    ? ['dns-01']
    : [...(secure.length > 0 ? ['tls-alpn-01' as const] : []), ...(clear.length > 0 ? ['http-01' as const] : [])]
  const kinds = written.length > 0 ? written : usual
  const at = node ? placeOf(node, 'challenges') : null
  const before = problems.failed
  if (at && written.length > 0) {
    if (new Set(written).size < written.length) problems.error(at, 'a challenge is listed twice')
    if (written.includes('dns-01') && !hasDns)
      problems.error(at, 'dns-01 needs dns', 'as in dns: { provider: program, program: ./dns.sh }')
    if (written.includes('http-01') && clear.length === 0)
      problems.error(
        at,
        'http-01 needs a cleartext listener',
        'as in listen: [{ port: 443 }, { port: 80, cleartext: redirect }]',
      )
    if (written.includes('tls-alpn-01') && secure.length === 0)
      problems.error(at, 'tls-alpn-01 needs a TLS listener', 'as in listen: [{ port: 443 }]')
    if (hasDns && !written.includes('dns-01'))
      problems.warn(placeOfKey(node!, 'dns'), 'dns has no effect: challenges does not have dns-01')
  }
  // The CA comes to these ports and no others (RFC 8555 section 8.3, RFC 8737 section 3).
  const lacks = (kind: ChallengeKind, on: readonly ListenConfig[], port: number) =>
    kinds.includes(kind) && on.length > 0 && !on.some(one => publicPort(one) === port)
  const place = at ?? (asking ? placeOfKey(asking, 'certificate') : null)
  const lost = [
    ...(lacks('tls-alpn-01', secure, 443) ? ['tls-alpn-01: a CA comes to port 443, where no TLS listener is'] : []),
    ...(lacks('http-01', clear, 80) ? ['http-01: a CA comes to port 80, where no cleartext listener is'] : []),
  ]
  // Of the usual ones, one that works is enough.
  if (place && (written.length > 0 || lost.length === kinds.length))
    for (const message of lost)
      problems.warn(place, message, 'something in front of the gateway must forward it here')
  return problems.failed && !before ? undefined : kinds
}

function checkOnDemand(
  { ask, allow }: NonNullable<Raw<typeof acmeShape>['onDemand']>,
  node: Node,
  problems: Problems,
): void {
  // Anyone who points a name at this machine could otherwise have certificates ordered until rate limits are used up.
  if (ask === null && allow?.length === 0)
    problems.error(
      node.at,
      'onDemand needs ask, allow, or both',
      'as in onDemand: { ask: "http://127.0.0.1:5555/check" }',
    )
}

function checkHosts(
  site: SiteConfig,
  node: Node,
  kinds: readonly ChallengeKind[],
  directory: string,
  onDemand: boolean,
  problems: Problems,
): void {
  const list = childOf(node, 'host') ?? node
  site.hosts.forEach((host, index) => {
    const at = placeOf(list, index)
    const bare = host.replace(/^\[|\]$/g, '')
    const isPublic = directory in stagingOf
    if (isPublic && host.includes('_')) {
      // CA/Browser Forum baseline requirements, section 7.1.2.7.12
      problems.error(
        at,
        `${host}: no public CA issues a certificate for a name with an underscore`,
        'write certificate: local, or give acme.directory of a private CA that does',
      )
    } else if (host.startsWith('*.') && !kinds.includes('dns-01') && !onDemand) {
      problems.error(
        at,
        `${host}: a wildcard certificate needs the dns-01 challenge`,
        'add acme: { dns: { provider: ... } }, or list the names',
      )
    } else if (isIP(bare) !== 0) {
      if (kinds.every(kind => kind === 'dns-01'))
        problems.error(
          at,
          `${host}: an IP address cannot be proved by dns-01`,
          'add http-01 or tls-alpn-01 to acme.challenges',
        )
      else if (isPublic)
        problems.warn(
          at,
          `${host}: Let's Encrypt issues for public IP addresses only, and with profile: shortlived`,
        )
    } else if (
      isPublic &&
      (!bare.includes('.') || /\.(local|localhost|internal|test|example|invalid|lan|home\.arpa)$/.test(bare))
    ) {
      problems.warn(
        at,
        `${host}: no public CA issues for this name`,
        'write certificate: local, or give acme.directory of a private CA',
      )
    }
  })
}
