/**
 * What a client's connection adds to every request it carries: who the client is, in the fields that backends read
 * (RFC 7239, and the X-Forwarded ones), and the site and text that belong to the last Host seen, since nearly all
 * requests of a connection name the same. That of a trusted proxy has another client for each request, and keeps nothing.
 * Fields are set, never appended to: the parser has taken out what was sent.
 */
import { ProxyError } from '../../base/errors.ts'
import { unixPeer } from '../../base/ip.ts'
import type { Client } from '../../model/client.ts'
import type { Connection } from '../../model/connection.ts'
import type { Site } from '../../model/site.ts'
import type { Snapshot } from '../../model/snapshot.ts'
import type { RequestHead } from '../../wire/heads.ts'
import { canonicalHost } from '../../wire/host.ts'
import { identityLines } from './client-certificate.ts'

export class Forwarding {
  /** Fields for the backend, each with its CRLF */
  text = ''
  site: Site | null = null
  private client: Client | null = null
  private host: string | null = null
  private snapshot: Snapshot | null = null
  readonly connection: Connection
  /** Of HTTP, as the client spoke it last */
  private version = ''

  constructor(connection: Connection) {
    this.connection = connection
  }

  /**
   * Looks up the site of a request and prepares `text`.
   * @returns why the request may not be served on this connection, or null
   */
  aim(host: string | null, snapshot: Snapshot, head: RequestHead, client: Client): ProxyError | null {
    const version = head.version === 2 ? '2.0' : head.minor === 1 ? '1.1' : '1.0'
    const known = host === this.host && client === this.client && version === this.version && this.site !== null
    if (known && snapshot === this.snapshot) return null
    const found = this.siteOf(host, snapshot)
    if (found instanceof ProxyError) return found
    this.site = found
    this.client = client
    this.host = host
    this.snapshot = snapshot
    this.version = version
    this.text = forwardText(client, host, version) + identityLines(this.connection.identity, found.clients)
    return null
  }

  private siteOf(host: string | null, snapshot: Snapshot): Site | ProxyError {
    const { site: opened, secure, serverName, listener } = this.connection
    const sites = snapshot.sitesOf(listener.name)
    const asked = host === null ? (serverName ?? '') : canonicalHost(host)
    // Without any name it is the site that the connection was opened for, as the configuration has it now.
    const named = asked === '' ? (opened?.name ?? '') : asked
    const site = sites.site(named) ?? sites.defaultSite
    if (site === null)
      return new ProxyError('NO_SITE', `no site${onListener(listener.name)} has the host ${host ?? '(none)'}`)
    if (site.action.kind !== 'http') {
      return new ProxyError('MISDIRECTED', `${host} is a ${site.action.kind} site: no HTTP is served for it`)
    }
    // A reload may have changed the terms under an open connection: what counts is what it was opened with.
    if (secure && site.termsKey !== opened?.termsKey) {
      return new ProxyError('MISDIRECTED', otherTerms(asked === '' ? site.name : asked, site, opened))
    }
    return site
  }
}

export const onListener = (name: string | null): string => (name === null ? '' : ` on listener ${name}`)

/** One line: both hosts, and what differs. What a terms key is made of is for nobody's eyes. */
function otherTerms(host: string, site: Site, opened: Site | null): string {
  const remedy = 'the client must open a connection of its own for it'
  if (opened === null) return `${host} asks for other TLS terms than the connection was opened under: ${remedy}`
  const [asked, had] = [termsOf(site), termsOf(opened)]
  const differing = asked.flatMap((each, i) => (each === had[i] ? [] : [`${each} and not ${had[i]}`]))
  // The same words for both: a policy that was changed, other CAs or lists, or the same site before a reload.
  const what = differing.length > 0 ? differing.join(', ') : unnamedDifference(site, opened)
  return `${host} is under other TLS terms than ${opened.name}, for which the connection was opened (${what}): ${remedy}`
}

const termsOf = ({ policy, clients }: Site): string[] => [
  `policy ${policy}`,
  `client certificates ${clients?.mode ?? 'off'}`,
]

const unnamedDifference = (site: Site, opened: Site): string =>
  site.clients?.key === opened.clients?.key
    ? `policy ${site.policy} of another content`
    : 'other CAs, revocation lists or allow lists for client certificates'

function forwardText(client: Client, host: string | null, version: string): string {
  const { clientAddress, publicPort, serverPort, secure } = client
  const proto = secure ? 'https' : 'http'
  const address = toldAddress(clientAddress)
  const node = address.includes(':') ? `"[${address}]"` : address
  let text = `x-forwarded-for: ${address}\r\nx-forwarded-proto: ${proto}\r\nx-forwarded-port: ${publicPort ?? serverPort}\r\n`
  if (host !== null) text += `x-forwarded-host: ${host}\r\n`
  // A value with a colon or a bracket must be quoted (RFC 7239 section 4).
  const named = host === null ? '' : `;host=${/[:[\]]/.test(host) ? `"${host}"` : host}`
  return `${text}forwarded: for=${node}${named};proto=${proto}\r\nvia: ${version} sallyport\r\n`
}

/** A peer of a Unix socket has none; this is RFC 7239's word for it, and that of X-Forwarded-For. */
export const toldAddress = (address: string): string => (address === unixPeer ? 'unknown' : address)
