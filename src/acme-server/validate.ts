/**
 * Looks for the answers to challenges: http-01 (RFC 8555 section 8.3), dns-01 (8.4) and tls-alpn-01 (RFC 8737).
 *
 * The names are internal by nature, so whoever may order can make us connect to hosts of our own network. What bounds
 * that: one fixed port and one path that ends in a token of ours; no redirect is followed; addresses must lie in `networks`
 * (by default neither loopback nor link-local, which is where clouds keep their secrets); nothing of an answer is told to
 * whoever asked; every size and wait has an end.
 */
import { X509Certificate } from 'node:crypto'
import { lookup, Resolver } from 'node:dns/promises'
import http from 'node:http'
import { CidrSet, parseAddress } from '../base/ip.ts'
import type { ChallengeKind } from '../model/challenge.ts'
import { acmeTls, shownCertificate } from './shown-certificate.ts'

type Asked = {
  readonly kind: ChallengeKind
  /** A DNS name, or an IP address */
  readonly name: string
  readonly token: string
  readonly keyAuthorization: string
  /** SHA-256 of the key authorization */
  readonly digest: Buffer
}

/** Resolves where the answer is right; throws ChallengeFailure. */
export type Validate = (asked: Asked, signal: AbortSignal) => Promise<void>

export class ChallengeFailure extends Error {
  readonly type: 'connection' | 'dns' | 'incorrectResponse' | 'tls' | 'unauthorized'

  constructor(type: ChallengeFailure['type'], message: string) {
    super(message)
    this.name = 'ChallengeFailure'
    this.type = type
  }
}

type ValidateTerms = {
  readonly http01Port: number
  readonly tlsAlpn01Port: number
  /** Addresses by name, asked before DNS */
  readonly resolve: ReadonlyMap<string, string>
  /** Where challenges may lead; null: everywhere but to loopback, link-local, multicast and unspecified addresses */
  readonly networks: readonly string[] | null
  /** DNS servers for dns-01, `address` or `address:port`; empty: those of the system */
  readonly resolvers: readonly string[]
}

const waitMs = 10_000
const maxBytes = 4_096
const mostAddresses = 4

const never = new CidrSet([
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/128',
  '::1/128',
  'fe80::/10',
  'ff00::/8',
])

export function validator(terms: ValidateTerms): Validate {
  const allowed = terms.networks === null ? null : new CidrSet(terms.networks)
  const mayConnect = (address: string) => (allowed === null ? !never.contains(address) : allowed.contains(address))
  return async (asked, signal) => {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(waitMs)])
    try {
      if (asked.kind === 'dns-01') return await tryDns(asked, terms.resolvers, bounded)
      const addresses = await addressesOf(asked.name, terms.resolve, mayConnect)
      let last: unknown
      for (const address of addresses) {
        try {
          return await (asked.kind === 'http-01'
            ? tryHttp(asked, address, terms.http01Port, bounded)
            : tryTls(asked, address, terms.tlsAlpn01Port, bounded))
        } catch (error) {
          // Another address is tried only where nobody answered: one that answers wrongly has spoken.
          if (!(error instanceof ChallengeFailure) || error.type !== 'connection') throw error
          last = error
        }
      }
      throw last
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof ChallengeFailure) throw error
      if (bounded.aborted)
        throw new ChallengeFailure('connection', `${asked.name}: no answer within ${waitMs / 1000} s`)
      throw new ChallengeFailure('connection', `${asked.name}: ${codeOf(error)}`)
    }
  }
}

/** The kind of an error, without what the peer may have written into it. */
const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'cannot be reached'

async function addressesOf(
  name: string,
  resolve: ReadonlyMap<string, string>,
  mayConnect: (address: string) => boolean,
): Promise<string[]> {
  let all: string[]
  const fixed = resolve.get(name)
  if (parseAddress(name) !== null) all = [name]
  else if (fixed !== undefined) all = [fixed]
  else {
    const found = await lookup(name, { all: true }).catch(error => {
      throw new ChallengeFailure('dns', `${name}: ${codeOf(error)}`)
    })
    all = found.map(each => each.address)
  }
  const good = all.filter(mayConnect).slice(0, mostAddresses)
  if (good.length === 0)
    throw new ChallengeFailure(
      'connection',
      `${name}: its address is outside of the networks that challenges may lead to`,
    )
  return good
}

function tryHttp(
  { name, token, keyAuthorization }: Asked,
  address: string,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const host = name.includes(':') ? `[${name}]` : name
    const request = http.get({
      host: address,
      port,
      path: `/.well-known/acme-challenge/${token}`,
      headers: { host: port === 80 ? host : `${host}:${port}`, 'user-agent': 'sallyport-ca', connection: 'close' },
      agent: false,
      signal,
    })
    const end = (error: Error | null) => {
      request.destroy()
      if (error === null) resolve()
      else reject(error)
    }
    request.on('error', error => end(new ChallengeFailure('connection', `${name}:${port}: ${codeOf(error)}`)))
    request.on('response', response => {
      if (response.statusCode !== 200) {
        const hint =
          (response.statusCode ?? 0) >= 300 && (response.statusCode ?? 0) < 400
            ? '; redirects are not followed'
            : ''
        end(
          new ChallengeFailure(
            'incorrectResponse',
            `${name}:${port} answered with status ${response.statusCode}${hint}`,
          ),
        )
        return
      }
      let text = ''
      response.setEncoding('latin1')
      response.on('data', chunk => {
        text += chunk
        if (text.length > maxBytes)
          end(new ChallengeFailure('incorrectResponse', `${name}:${port} answered with over ${maxBytes} bytes`))
      })
      response.on('error', error => end(new ChallengeFailure('connection', `${name}:${port}: ${codeOf(error)}`)))
      response.on('end', () => {
        // Section 8.3: whitespace behind it is let through.
        const right = text.trimEnd() === keyAuthorization
        end(
          right
            ? null
            : new ChallengeFailure(
                'incorrectResponse',
                `${name}:${port} answered, and not with the key authorization`,
              ),
        )
      })
    })
  })
}

/** The extension acmeIdentifier, byte for byte: its OID, critical, and the digest in two OCTET STRINGs. */
const acmeIdentifier = Buffer.from('303106082b0601050507011f0101ff04220420', 'hex')

async function tryTls({ name, digest }: Asked, address: string, port: number, signal: AbortSignal): Promise<void> {
  const serverName = parseAddress(name) === null ? name : reverseName(name)
  const shown = await shownCertificate({ address, port, serverName }, signal).catch(error => {
    if (signal.aborted)
      throw new ChallengeFailure('connection', `${name}:${port}: no answer within ${waitMs / 1000} s`)
    throw new ChallengeFailure('connection', `${name}:${port}: ${codeOf(error)}`)
  })
  if (shown.kind === 'none') throw new ChallengeFailure('tls', `${name}:${port}: ${shown.why}`)
  if (shown.alpn !== acmeTls) throw new ChallengeFailure('tls', `${name}:${port} does not speak ${acmeTls}`)
  const wrong = certificateProblem(shown.der, name, digest)
  if (wrong !== null) throw new ChallengeFailure('unauthorized', `${name}:${port}: ${wrong}`)
}

function certificateProblem(der: Buffer, name: string, digest: Buffer): string | null {
  const expected = parseAddress(name) === null ? `DNS:${name}` : `IP Address:${addressText(name)}`
  if (new X509Certificate(der).subjectAltName?.toLowerCase() !== expected.toLowerCase())
    return 'the certificate has another name, or more than one'
  return der.includes(Buffer.concat([acmeIdentifier, digest])) ? null : 'the certificate has another acmeIdentifier'
}

/** As OpenSSL prints it: eight groups for IPv6. */
function addressText(address: string): string {
  const bytes = parseAddress(address) as Uint8Array
  if (bytes.length === 4) return address
  return Array.from({ length: 8 }, (_, at) =>
    (((bytes[2 * at] as number) << 8) | (bytes[2 * at + 1] as number)).toString(16),
  ).join(':')
}

/** RFC 8738 section 6. */
function reverseName(address: string): string {
  const bytes = [...(parseAddress(address) as Uint8Array)]
  if (bytes.length === 4) return `${bytes.reverse().join('.')}.in-addr.arpa`
  const nibbles = bytes.flatMap(byte => [(byte >> 4).toString(16), (byte & 15).toString(16)])
  return `${nibbles.reverse().join('.')}.ip6.arpa`
}

async function tryDns({ name, digest }: Asked, servers: readonly string[], signal: AbortSignal): Promise<void> {
  const resolver = new Resolver({ timeout: 3_000, tries: 2 })
  if (servers.length > 0) resolver.setServers([...servers])
  const stop = () => resolver.cancel()
  signal.addEventListener('abort', stop, { once: true })
  try {
    const records = await resolver.resolveTxt(`_acme-challenge.${name}`)
    if (!records.some(parts => parts.join('') === digest.toString('base64url')))
      throw new ChallengeFailure('incorrectResponse', `_acme-challenge.${name} has no TXT record with the answer`)
  } catch (error) {
    if (error instanceof ChallengeFailure) throw error
    throw new ChallengeFailure('dns', `_acme-challenge.${name}: ${codeOf(error)}`)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
