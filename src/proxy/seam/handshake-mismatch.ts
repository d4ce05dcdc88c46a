/**
 * What a client and the terms of a site do not have in common, from the hello alone. The libraries' own words are no
 * guide: OpenSSL says `no shared cipher` and BoringSSL `wrong curve` for whichever of the four is missing in TLS 1.2.
 *
 * Null does not say that they fit: only what is certain is said. Versions and ALPN were decided before (decide.ts).
 */
import { X509Certificate } from 'node:crypto'
import { cipherIds, groupIds, tlsVersions } from '../../model/policies.ts'
import type { ServerTls } from '../../model/tls-terms.ts'
import type { ClientHello } from '../../wire/client-hello.ts'
import type { AlertName } from '../../wire/tls-alert.ts'
import { cipherName, groupName, isGrease, signatureName } from '../../wire/tls-names.ts'

type Mismatch = { readonly alert: AlertName; readonly why: string }

type Key = { readonly kind: 'rsa' | 'ecdsa' | 'other'; readonly curve: number }

/** Of ECDSA keys: the group, and the one algorithm of TLS 1.3 that goes with it (RFC 8446 section 4.2.3). */
const curves: Readonly<Record<string, readonly [group: number, algorithm: number]>> = {
  prime256v1: [0x0017, 0x0403],
  secp384r1: [0x0018, 0x0503],
  secp521r1: [0x0019, 0x0603],
}
const fallbackScsv = 0x5600
const rsaPss = [0x0804, 0x0805, 0x0806]
const rsaPkcs1 = [0x0401, 0x0501, 0x0601, 0x0201]
const ecdsa12 = [0x0403, 0x0503, 0x0603, 0x0203]

/** @param policy its name, for the sentence */
export function handshakeMismatch(hello: ClientHello, terms: ServerTls, policy: string): Mismatch | null {
  const best = negotiatedVersion(hello, terms)
  const no = (why: string): Mismatch => ({ alert: 'handshake_failure', why })
  if (hello.cipherSuites.includes(fallbackScsv) && best < numberOf(terms.maxVersion)) {
    return {
      alert: 'inappropriate_fallback',
      why:
        `the client retried with an older version than policy ${policy} offers (TLS_FALLBACK_SCSV, RFC 7507): ` +
        'its first try was broken off on the way; look at what stands between it and the gateway',
    }
  }
  const key = keyOf(terms.chainPem)
  const tls13 = best === 0x0304
  const own = terms.ciphers.split(':').filter(name => name.startsWith('TLS_') === tls13)
  const shared = own.filter(name => hello.cipherSuites.includes(cipherIds[name] ?? -1))
  if (shared.length === 0) {
    const offered = some(
      hello.cipherSuites.filter(each => each !== fallbackScsv && each !== 0x00ff),
      cipherName,
    )
    return no(
      `client and policy ${policy} have no cipher in common: the client offers only ${offered}; ` +
        'update it, or give the site a policy that has one of these',
    )
  }
  const usable = tls13 ? shared : shared.filter(name => fitsKey(name, key))
  if (usable.length === 0) {
    const [has, needs] = key.kind === 'rsa' ? ['RSA', 'ECDSA'] : ['ECDSA', 'RSA']
    return no(
      `the ciphers that the client offers need an ${needs} certificate (${some(shared, String)}), and the site's is ${has}: ` +
        `give the site an ${needs} certificate beside it, or update the client`,
    )
  }
  const groups = hello.groups.filter(each => !isGrease(each))
  const exchanged = tls13 || usable.every(name => name.startsWith('ECDHE-'))
  const ownGroups = terms.groups.split(':').map(name => groupIds[name] ?? -1)
  // The hybrids are for TLS 1.3 alone. A TLS 1.2 client that names no groups takes any (RFC 8422 section 4).
  const possible = tls13 ? ownGroups : ownGroups.filter(each => each < 0x0100)
  if (exchanged && (tls13 || groups.length > 0) && !possible.some(each => groups.includes(each))) {
    return no(
      `client and policy ${policy} have no key exchange group in common: the client offers only ${some(groups, groupName)}; ` +
        `the policy has ${some(possible, groupName)}`,
    )
  }
  if (!tls13 && key.curve !== 0 && groups.length > 0 && !groups.includes(key.curve)) {
    return no(
      `the site's certificate has a key on ${groupName(key.curve)}, and the client takes only ${some(groups, groupName)}: ` +
        'update the client, or give the site an RSA certificate beside it',
    )
  }
  return signatures(hello, key, tls13)
}

function signatures(hello: ClientHello, key: Key, tls13: boolean): Mismatch | null {
  const offered = hello.signatureAlgorithms.filter(each => !isGrease(each))
  const wanted = tls13
    ? key.kind === 'rsa'
      ? rsaPss
      : ecdsa12.filter(each => Object.values(curves).some(([group, own]) => group === key.curve && own === each))
    : key.kind === 'rsa'
      ? [...rsaPss, ...rsaPkcs1]
      : ecdsa12
  if (key.kind === 'other' || offered.length === 0 || wanted.some(each => offered.includes(each))) return null
  const [has, other] = key.kind === 'rsa' ? ['RSA', 'ECDSA'] : ['ECDSA', 'RSA']
  return {
    alert: 'handshake_failure',
    why:
      `the client takes none of the signatures that the site's ${has} certificate can give (${some(wanted, signatureName)}); ` +
      `it offers only ${some(offered, signatureName)}: give the site an ${other} certificate beside it, or update the client`,
  }
}

const numberOf = (version: ServerTls['maxVersion']): number => 0x0301 + tlsVersions.indexOf(version)

/** The version that the handshake goes by; 0 where there is none. */
function negotiatedVersion(hello: ClientHello, terms: ServerTls): number {
  const [from, to] = [numberOf(terms.minVersion), numberOf(terms.maxVersion)]
  return Math.max(0, ...hello.versions.filter(each => each >= from && each <= to))
}

/** The alert for a client that has shown no certificate: one of its own only in TLS 1.3 (RFC 8446 section 4.4.2.4). */
export const alertWithoutCertificate = (hello: ClientHello | null, terms: ServerTls): AlertName =>
  hello !== null && negotiatedVersion(hello, terms) === 0x0304 ? 'certificate_required' : 'handshake_failure'

/** In TLS 1.2 a cipher names the kind of key too; those without ECDHE and DHE encrypt to an RSA key. */
const fitsKey = (cipher: string, key: Key): boolean =>
  key.kind === 'other' || cipher.includes('ECDSA') === (key.kind === 'ecdsa')

/** Read when a handshake has failed, and not before. */
function keyOf(chainPem: string): Key {
  try {
    const { asymmetricKeyType: kind, asymmetricKeyDetails: details } = new X509Certificate(chainPem).publicKey
    if (kind === 'rsa') return { kind: 'rsa', curve: 0 }
    const curve = kind === 'ec' ? curves[details?.namedCurve ?? ''] : undefined
    return curve === undefined ? { kind: 'other', curve: 0 } : { kind: 'ecdsa', curve: curve[0] }
  } catch {
    return { kind: 'other', curve: 0 }
  }
}

const mentioned = 6

function some<T>(values: readonly T[], name: (value: T) => string): string {
  const all = values.filter(value => typeof value !== 'number' || !isGrease(value))
  if (all.length === 0) return 'none'
  const named = all.slice(0, mentioned).map(name).join(', ')
  return all.length > mentioned ? `${named} and ${all.length - mentioned} more` : named
}
