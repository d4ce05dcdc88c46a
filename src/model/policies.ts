/**
 * Named TLS policies, as data with their sources. A policy names everything that a server may choose from; what one
 * runtime's TLS library cannot offer of it is found out in tls/offer.ts.
 */
import type { TlsVersion } from './tls-terms.ts'

export type Policy = {
  readonly name: string
  /** Where the table comes from */
  readonly source: string
  readonly minVersion: TlsVersion
  readonly maxVersion: TlsVersion
  /** Of TLS 1.3; a set, since clients choose among them */
  readonly suites: readonly string[]
  /** Of TLS 1.2 and older, OpenSSL names */
  readonly ciphers: readonly string[]
  /** Key exchange groups, most wanted first; names of `groupIds` */
  readonly groups: readonly string[]
  /** Whose order of ciphers counts, in TLS 1.2 and older */
  readonly order: 'client' | 'server'
}

/** Names of key exchange groups, with their numbers in the TLS registry. */
export const groupIds: Readonly<Record<string, number>> = {
  X25519MLKEM768: 0x11ec,
  SecP256r1MLKEM768: 0x11eb,
  SecP384r1MLKEM1024: 0x11ed,
  X25519: 0x001d,
  'P-256': 0x0017,
  'P-384': 0x0018,
  'P-521': 0x0019,
}

/** OpenSSL names of ciphers, with their numbers in the TLS registry. */
export const cipherIds: Readonly<Record<string, number>> = {
  TLS_AES_128_GCM_SHA256: 0x1301,
  TLS_AES_256_GCM_SHA384: 0x1302,
  TLS_CHACHA20_POLY1305_SHA256: 0x1303,
  'ECDHE-ECDSA-AES128-GCM-SHA256': 0xc02b,
  'ECDHE-ECDSA-AES256-GCM-SHA384': 0xc02c,
  'ECDHE-RSA-AES128-GCM-SHA256': 0xc02f,
  'ECDHE-RSA-AES256-GCM-SHA384': 0xc030,
  'ECDHE-ECDSA-CHACHA20-POLY1305': 0xcca9,
  'ECDHE-RSA-CHACHA20-POLY1305': 0xcca8,
  'ECDHE-ECDSA-AES128-SHA256': 0xc023,
  'ECDHE-ECDSA-AES256-SHA384': 0xc024,
  'ECDHE-RSA-AES128-SHA256': 0xc027,
  'ECDHE-RSA-AES256-SHA384': 0xc028,
  'ECDHE-ECDSA-AES128-SHA': 0xc009,
  'ECDHE-ECDSA-AES256-SHA': 0xc00a,
  'ECDHE-RSA-AES128-SHA': 0xc013,
  'ECDHE-RSA-AES256-SHA': 0xc014,
  'AES128-GCM-SHA256': 0x009c,
  'AES256-GCM-SHA384': 0x009d,
  'AES128-SHA256': 0x003c,
  'AES256-SHA256': 0x003d,
  'AES128-SHA': 0x002f,
  'AES256-SHA': 0x0035,
  'DES-CBC3-SHA': 0x000a,
  'RC4-SHA': 0x0005,
  'DHE-RSA-AES128-GCM-SHA256': 0x009e,
  'DHE-RSA-AES256-GCM-SHA384': 0x009f,
  'DHE-RSA-CHACHA20-POLY1305': 0xccaa,
}

/** Safe against a quantum computer that reads what was recorded today */
export const isPostQuantum = (group: string): boolean => group.includes('MLKEM')

export const tlsVersions: readonly TlsVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']
export const versionNumber = (version: TlsVersion): number => 0x0301 + tlsVersions.indexOf(version)

/** `1.2 - 1.3`, or one version alone. */
export function versionRange({ minVersion, maxVersion }: Policy): string {
  const [from, to] = [minVersion, maxVersion].map(version => (version === 'TLSv1' ? '1.0' : version.slice(4)))
  return from === to ? `${from}` : `${from} - ${to}`
}

export const allSuites: readonly string[] = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
]

const words = (text: string): string[] => text.trim().split(/\s+/)
const ecdheGcm = words(`
  ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256
  ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384`)
const ecdheChacha = words('ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305')
const ecdheCbcSha2 = words(`
  ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256 ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384`)
const ecdheCbcSha1 = words(
  'ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA',
)
const rsaSha2 = words('AES128-GCM-SHA256 AES128-SHA256 AES256-GCM-SHA384 AES256-SHA256')
const rsaSha1 = words('AES128-SHA AES256-SHA')
const mozillaGroups = ['X25519MLKEM768', 'X25519', 'P-256', 'P-384']
const awsGroups = ['X25519', 'P-256', 'P-384', 'P-521']

const mozilla = 'Mozilla Server Side TLS 6.0 (2026-04-06)'
const aws = 'AWS Elastic Load Balancing, security policies'

const table: readonly Policy[] = [
  {
    name: 'modern',
    source: mozilla,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    suites: allSuites,
    ciphers: [],
    groups: mozillaGroups,
    order: 'client',
  },
  {
    name: 'intermediate',
    source: mozilla,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    suites: allSuites,
    ciphers: [...ecdheGcm, ...ecdheChacha],
    groups: mozillaGroups,
    // Mozilla leaves it to the client, all ciphers being good; scanners rate that as a weakness of TLS 1.2, and in TLS 1.3
    // clients choose all the same.
    order: 'server',
  },
  {
    name: 'legacy',
    source: 'Mozilla Server Side TLS 5.8, "old", without finite-field DHE and 3DES',
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.3',
    suites: allSuites,
    ciphers: [...ecdheGcm, ...ecdheChacha, ...ecdheCbcSha2, ...ecdheCbcSha1, ...rsaSha2, ...rsaSha1],
    groups: mozillaGroups,
    order: 'server',
  },
  {
    name: 'fips',
    source: 'NIST SP 800-52 revision 2, with ML-KEM hybrids (SP 800-227)',
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    suites: ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384'],
    ciphers: ecdheGcm,
    groups: ['SecP256r1MLKEM768', 'SecP384r1MLKEM1024', 'P-256', 'P-384'],
    order: 'server',
  },
  {
    name: 'ELBSecurityPolicy-TLS13-1-3-2021-06',
    source: aws,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    suites: allSuites,
    ciphers: [],
    groups: awsGroups,
    order: 'server',
  },
  {
    name: 'ELBSecurityPolicy-TLS13-1-2-2021-06',
    source: aws,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    suites: allSuites,
    ciphers: [...ecdheGcm, ...ecdheCbcSha2],
    groups: awsGroups,
    order: 'server',
  },
  {
    name: 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06',
    source: aws,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    suites: allSuites,
    ciphers: ecdheGcm,
    groups: awsGroups,
    order: 'server',
  },
  {
    name: 'ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09',
    source: aws,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    suites: allSuites,
    ciphers: ecdheGcm,
    groups: ['X25519MLKEM768', 'SecP256r1MLKEM768', 'SecP384r1MLKEM1024', ...awsGroups],
    order: 'server',
  },
  {
    name: 'ELBSecurityPolicy-TLS-1-2-2017-01',
    source: aws,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
    suites: [],
    ciphers: [...ecdheGcm, ...ecdheCbcSha2, ...rsaSha2],
    groups: awsGroups,
    order: 'server',
  },
  {
    name: 'ELBSecurityPolicy-2016-08',
    source: aws,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.2',
    suites: [],
    ciphers: [...ecdheGcm, ...ecdheCbcSha2, ...ecdheCbcSha1, ...rsaSha2, ...rsaSha1],
    groups: awsGroups,
    order: 'server',
  },
]

export const policies: Readonly<Record<string, Policy>> = Object.fromEntries(table.map(each => [each.name, each]))
export const policyNames: readonly string[] = table.map(each => each.name)

/** Every cipher that some policy names: what a policy of one's own may choose from. */
export const knownCiphers: readonly string[] = [...new Set(table.flatMap(each => each.ciphers))]
