/**
 * What to do with a TLS connection, from its ClientHello alone: pure, and tested without sockets. One look-up by the
 * canonical name serves every mode. Whatever is not clearly allowed is refused with the alert that says why.
 */
import type { ErrorCode } from '../../base/errors.ts'
import { firstOf } from '../../base/visible.ts'
import { acmeProtocol } from '../../model/challenge.ts'
import { fitsFingerprint, type Site, type SiteTls } from '../../model/site.ts'
import type { SiteTable, Snapshot } from '../../model/snapshot.ts'
import type { ClientHello } from '../../wire/client-hello.ts'
import { ja4Of } from '../../wire/ja4.ts'
import type { StartTls } from '../../wire/start-tls/dialogs.ts'
import { alerts } from '../../wire/tls-alert.ts'
import { isGrease, versionName } from '../../wire/tls-names.ts'
import { onListener } from '../seam/forward.ts'

type Verdict =
  | { readonly kind: 'terminate'; readonly site: Site; readonly tls: SiteTls }
  | { readonly kind: 'unwrap'; readonly site: Site; readonly tls: SiteTls }
  | { readonly kind: 'passthrough'; readonly site: Site }
  /** A CA looks for the answer to a tls-alpn-01 challenge (RFC 8737): handshake, then close */
  | { readonly kind: 'challenge'; readonly name: string }
  | { readonly kind: 'refuse'; readonly code: ErrorCode; readonly alert: number; readonly why: string }

/** Of what a client offers, in a sentence: it may offer thousands. */
const namedAtMost = 6

/**
 * @param listener its name
 * @param localAddress asked only when the client sent no name: a site may be the address itself
 * @param startTls the protocol in which the client has begun; null for one that began with its hello
 */
export function decide(
  snapshot: Snapshot,
  listener: string | null,
  hello: ClientHello,
  localAddress: () => string,
  startTls: StartTls | null = null,
): Verdict {
  const { serverName } = hello
  const sites = snapshot.sitesOf(listener)
  const named = sites.site(serverName ?? localAddress())
  if (startTls !== null) return decideStartTls(sites, hello, named, startTls)
  const site = named ?? sites.defaultSite
  // A CA comes to port 443, whichever listeners serve the site.
  if (serverName !== null && isChallenge(hello, serverName, site ?? snapshot.site(serverName)))
    return { kind: 'challenge', name: serverName }
  if (site === null) {
    return serverName === null
      ? refuse(
          'TLS_NO_NAME',
          alerts.unrecognized_name,
          `the client sent no server name, and no site${onListener(listener)} is the default`,
        )
      : refuse(
          'TLS_UNKNOWN_NAME',
          alerts.unrecognized_name,
          `no site${onListener(listener)} has the name ${serverName}`,
        )
  }
  return onTerms(site, hello)
}

/**
 * A client that has begun in another protocol is served by sites of that protocol alone. Mail servers often send no name, so
 * that one which is the only one needs none.
 */
function decideStartTls(sites: SiteTable, hello: ClientHello, named: Site | null, startTls: StartTls): Verdict {
  const { serverName } = hello
  const fits = sites.startTls.get(startTls) ?? []
  const { defaultSite } = sites
  const byDefault = defaultSite !== null && fits.includes(defaultSite) ? defaultSite : null
  // A site that is the address itself was not asked for by a client that knows no names.
  const asked = serverName === null && named !== null && !fits.includes(named) ? null : named
  const site = asked ?? byDefault ?? (serverName === null && fits.length === 1 ? (fits[0] as Site) : null)
  const { unrecognized_name } = alerts
  if (site === null) {
    return serverName === null
      ? refuse(
          'TLS_NO_NAME',
          unrecognized_name,
          `the client sent no server name behind ${startTls}, and ${fits.length} sites speak that, none of them the default`,
        )
      : refuse('TLS_UNKNOWN_NAME', unrecognized_name, `no site has the name ${serverName}`)
  }
  return fits.includes(site)
    ? onTerms(site, hello)
    : refuse('TLS_UNKNOWN_NAME', unrecognized_name, `${site.name} does not say tcp: { startTls: ${startTls} }`)
}

/** Whether what the client offers is enough for the site that it has come for. */
function onTerms(site: Site, hello: ClientHello): Verdict {
  const { action } = site
  const blocked = blockedBy(site, hello)
  if (blocked !== null) return blocked
  if (action.kind === 'passthrough') return { kind: 'passthrough', site }
  const { tls } = action
  if (tls === null) {
    return refuse(
      'TLS_UNKNOWN_NAME',
      alerts.unrecognized_name,
      `${site.name} has no certificate: it is served in cleartext only`,
    )
  }
  const best = Math.max(...hello.versions.filter(version => !isGrease(version)))
  if (best < tls.minVersion) {
    const needs = `policy ${site.policy} needs ${versionName(tls.minVersion)}`
    return refuse(
      'TLS_VERSION',
      alerts.protocol_version,
      `the client offers at most ${versionName(best)}; ${needs}`,
    )
  }
  if (!hello.versions.some(version => version >= tls.minVersion && version <= tls.maxVersion)) {
    return refuse(
      'TLS_VERSION',
      alerts.protocol_version,
      `the client offers only ${firstOf(
        hello.versions.filter(each => !isGrease(each)).map(versionName),
        namedAtMost,
        64,
      ).join(', ')}; policy ${site.policy} ends with ${versionName(tls.maxVersion)}`,
    )
  }
  // A client that names protocols must get one of them, or be told that there is none (RFC 7301 section 3.2).
  if (hello.alpn.length > 0 && tls.alpn.length > 0 && !hello.alpn.some(name => tls.alpn.includes(name))) {
    const offered = firstOf(hello.alpn, namedAtMost, 64).join(', ')
    return refuse(
      'TLS_NO_ALPN',
      alerts.no_application_protocol,
      `the client offers only ${offered}; ${site.name} speaks ${tls.alpn.join(', ')}`,
    )
  }
  return action.kind === 'tcp' ? { kind: 'unwrap', site, tls } : { kind: 'terminate', site, tls }
}

/**
 * The one protocol and a name (RFC 8737 section 3); an IP address has its reverse name (RFC 8738 section 6). No request can
 * follow, so the site's terms do not matter. Behind passthrough the backend answers for itself.
 */
function isChallenge({ alpn }: ClientHello, serverName: string, site: Site | null): boolean {
  if (alpn.length !== 1 || alpn[0] !== acmeProtocol) return false
  return site === null ? serverName.endsWith('.arpa') : site.action.kind !== 'passthrough'
}

/** Passthrough or not: a hello is all that it takes. */
function blockedBy(site: Site, hello: ClientHello): Verdict | null {
  const { block } = site.fingerprints
  if (block.length === 0) return null
  const ja4 = ja4Of(hello)
  if (!block.some(pattern => fitsFingerprint(pattern, ja4))) return null
  return refuse('CLIENT_BLOCKED', alerts.access_denied, `${ja4} is on the block list of ${site.name}`)
}

/** The group that the handshake will use: the first of ours that the client has, 0 where there is none. */
export function negotiatedGroup(tls: SiteTls, hello: ClientHello): number {
  for (const group of tls.groups) if (!isGrease(group) && hello.groups.includes(group)) return group
  return 0
}

const refuse = (code: ErrorCode, alert: number, why: string): Verdict => ({ kind: 'refuse', code, alert, why })
