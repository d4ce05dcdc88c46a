/** The certificate of an order (RFC 8555 section 7.4.2): fetched, chosen among the chains on offer, and checked. */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { normaliseAddress } from '../base/ip.ts'
import { IssueError } from '../model/issuer.ts'
import type { Ca } from './directory.ts'
import { isSafeUrl } from './http.ts'
import type { Signer } from './jws.ts'
import { type Posted, read } from './post.ts'

const pemType = 'application/pem-certificate-chain'
const maxChainBytes = 100 * 1024
const maxCertificates = 10
const maxAlternates = 5

/** @param preferredChain the common name of the issuer at the top of a chain, or null for the CA's own choice */
export async function downloadChain(
  ca: Ca,
  url: string,
  preferredChain: string | null,
  signer: Signer,
  signal: AbortSignal,
): Promise<string> {
  const first = await read(ca, url, signer, signal, pemType)
  const chain = parseChain(first, url)
  if (preferredChain === null || endsAt(chain, preferredChain)) return join(chain)
  for (const alternate of alternates(first, url)) {
    const answer = await read(ca, alternate, signer, signal, pemType)
    const other = parseChain(answer, alternate)
    if (endsAt(other, preferredChain)) return join(other)
  }
  // A chain that was not preferred is better than no certificate.
  return join(chain)
}

/** Throws IssueError `wrong-certificate` unless the chain is for this request: its key, and all of its names. */
export function checkChain(chainPem: string, csrDer: Uint8Array, names: readonly string[]): void {
  const wrong = (what: string) => new IssueError('wrong-certificate', `the certificate that was issued ${what}`)
  const certificates = splitPem(chainPem).map(pem => new X509Certificate(pem))
  const leaf = certificates[0] as X509Certificate
  if (!spki(leaf.publicKey).equals(spki(publicKeyOf(csrDer)))) throw wrong('is for another key')
  const has = new Set(namesOf(leaf))
  const missing = names.map(name => normaliseAddress(name.toLowerCase())).filter(name => !has.has(name))
  if (missing.length > 0) throw wrong(`lacks ${missing.join(', ')}`)
  if (Date.parse(leaf.validTo) <= Date.parse(leaf.validFrom)) throw wrong('is never valid')
  for (const [at, above] of certificates.slice(1).entries()) {
    const below = certificates[at] as X509Certificate
    if (below.issuer !== above.subject || !verifies(below, above))
      throw wrong(`has a chain out of order: number ${at + 2} did not issue number ${at + 1}`)
  }
}

function verifies(below: X509Certificate, above: X509Certificate): boolean {
  try {
    return below.verify(above.publicKey)
  } catch {
    return false
  }
}

function parseChain({ body }: Posted, url: string): readonly string[] {
  const bad = (what: string) => new IssueError('unavailable', `the certificate at ${url} makes no sense: ${what}`)
  if (body.length > maxChainBytes) throw bad(`${body.length} bytes`)
  const text = body.toString('latin1')
  const blocks = splitPem(text)
  // Section 9.1: certificates, and nothing around them.
  if (blocks.length === 0 || blocks.reduce((rest, block) => rest.replace(block, ''), text).trim() !== '')
    throw bad('not a chain in PEM')
  if (blocks.length > maxCertificates) throw bad(`a chain of ${blocks.length}`)
  for (const block of blocks) {
    try {
      new X509Certificate(block)
    } catch {
      throw bad('a certificate in it cannot be read')
    }
  }
  return blocks
}

function splitPem(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? []
}

const join = (chain: readonly string[]): string => chain.map(pem => `${pem.replaceAll('\r', '')}\n`).join('')

function endsAt(chain: readonly string[], commonName: string): boolean {
  const { issuer } = new X509Certificate(chain.at(-1) as string)
  return issuer.split('\n').includes(`CN=${commonName}`)
}

/** `Link: <url>;rel="alternate"` (section 7.4.2). */
function alternates({ headers }: Posted, base: string): string[] {
  const found: string[] = []
  for (const [, target, parameters] of [headers.link ?? '']
    .flat()
    .join(', ')
    .matchAll(/<([^<>]*)>([^<]*)/g)) {
    if (!/;\s*rel="?alternate"?\s*(?:[;,]|$)/i.test(parameters as string)) continue
    const url = URL.canParse(target as string, base) ? new URL(target as string, base).href : ''
    if (isSafeUrl(url)) found.push(url)
  }
  return found.slice(0, maxAlternates)
}

/** Names as the runtime prints them; those with characters that no name has are quoted, and are none of ours. */
function namesOf(leaf: X509Certificate): string[] {
  const entries = (leaf.subjectAltName ?? '').match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? []
  return entries.flatMap(entry => {
    const [, kind, name] = /^\s*(DNS|IP Address):([^"]+)$/.exec(entry) ?? []
    if (kind === 'DNS') return [(name as string).toLowerCase()]
    return kind === undefined || isIP(name as string) === 0 ? [] : [normaliseAddress(name as string)]
  })
}

const spki = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' })

/** The key in a request: PKCS #10 (RFC 2986) is SEQUENCE { SEQUENCE { version, subject, SubjectPublicKeyInfo, ... } ... }. */
export function publicKeyOf(csrDer: Uint8Array): KeyObject {
  const bytes = Buffer.from(csrDer)
  const body = contentOf(bytes, contentOf(bytes, 0).from)
  const subject = contentOf(bytes, body.from).to
  const key = contentOf(bytes, subject).to
  const der = bytes.subarray(key, contentOf(bytes, key).to)
  return createPublicKey({ key: der, format: 'der', type: 'spki' })
}

/** Where the content of a DER value begins and ends; requests are our own, and short. */
function contentOf(bytes: Buffer, at: number): { readonly from: number; readonly to: number } {
  const first = bytes.readUInt8(at + 1)
  const more = first < 0x80 ? 0 : first & 0x7f
  const from = at + 2 + more
  const to = from + (more === 0 ? first : bytes.readUIntBE(at + 2, more))
  if (to > bytes.length) throw new RangeError('a certificate request is cut short')
  return { from, to }
}
