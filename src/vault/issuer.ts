/**
 * HashiCorp Vault's PKI secrets engine (or OpenBao's) as an issuer: POST /v1/MOUNT/sign/ROLE with our request; the key stays
 * here. There is no renewal information: certificates are renewed by what is left of their lifetime.
 */
import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { toPem } from '../base/pem.ts'
import { IssueError, type IssueOrder, type Issuer } from '../model/issuer.ts'
import { askVault, failureOf, type VaultAnswer, type VaultPlace } from './client.ts'
import { type VaultAuth, VaultLogin } from './login.ts'

type VaultTerms = VaultPlace & {
  /** Of the PKI engine: `pki`, `pki/issuing` */
  readonly mount: string
  readonly role: string
  /** Null: as long as the role says */
  readonly ttlMs: number | null
  readonly auth: VaultAuth
}

const maxChain = 10

export function vaultIssuer(terms: VaultTerms): Issuer {
  const login = new VaultLogin(terms, terms.auth)
  const name = `vault ${terms.address}/${terms.mount}/${terms.role}`
  const ask = async (path: string, body: object, signal: AbortSignal): Promise<VaultAnswer> => {
    const answer = await askVault(terms, path, body, await login.token(signal), signal)
    // 403 is a token that ended or was revoked, or what its policy forbids: a new login tells the two apart.
    if (answer.status !== 403 || !login.forget()) return answer
    return askVault(terms, path, body, await login.token(signal), signal)
  }
  return {
    name,
    async issue(order, signal) {
      const answer = await ask(`${terms.mount}/sign/${terms.role}`, signBody(order, terms.ttlMs), signal)
      if (answer.status !== 200) throw failureOf(terms, `signing with the role ${terms.role}`, answer)
      return chainOf(answer, order, terms.address)
    },
    async renewal() {
      return null
    },
    // Vault takes no reason.
    async revoke(certificateDer, _reason, signal) {
      const hex = new X509Certificate(certificateDer).serialNumber
      const serial = (hex.length % 2 === 0 ? hex : `0${hex}`).toLowerCase().replace(/..(?=.)/g, '$&:')
      const answer = await ask(`${terms.mount}/revoke`, { serial_number: serial }, signal)
      if (answer.status !== 200 && answer.status !== 204) throw failureOf(terms, 'revoking', answer)
    },
  }
}

/** Also for roles that look at the parameters and not at the request (use_csr_sans: false). */
function signBody({ names, csrDer }: IssueOrder, ttlMs: number | null): object {
  const addresses = names.filter(each => isIP(each) !== 0)
  const hosts = names.filter(each => isIP(each) === 0)
  return {
    csr: toPem('CERTIFICATE REQUEST', csrDer),
    // A role asks for a common name unless it says `require_cn=false`.
    common_name: hosts.find(each => each.length <= 64) ?? names[0],
    alt_names: hosts.join(','),
    ip_sans: addresses.join(','),
    format: 'pem',
    ...(ttlMs === null ? {} : { ttl: `${Math.ceil(ttlMs / 1000)}s` }),
  }
}

/** The leaf, and above it whatever leads up, without a root. Throws IssueError `wrong-certificate`. */
function chainOf({ body }: VaultAnswer, order: IssueOrder, address: string): string {
  const wrong = (why: string) => new IssueError('wrong-certificate', `${address}: ${why}`)
  const { certificate, issuing_ca: issuing, ca_chain: above } = (body['data'] ?? {}) as Record<string, unknown>
  if (typeof certificate !== 'string')
    throw new IssueError('unavailable', `${address}: the answer holds no certificate`)
  const texts = [...(Array.isArray(above) ? above : []), issuing].filter(each => typeof each === 'string')
  if (texts.length > maxChain) throw wrong(`the chain has over ${maxChain} certificates`)
  const [leaf, ...others] = [certificate, ...texts].map(text => {
    try {
      return new X509Certificate(text as string)
    } catch (cause) {
      throw new IssueError('wrong-certificate', `${address}: a certificate in the answer cannot be read`, { cause })
    }
  }) as [X509Certificate, ...X509Certificate[]]
  // The request holds its public key as it is: a certificate whose key is not in it is somebody else's.
  const key = leaf.publicKey.export({ type: 'spki', format: 'der' })
  if (!Buffer.from(order.csrDer).includes(key)) throw wrong('the certificate is for another key')
  for (const name of order.names) {
    const bare = name.startsWith('*.') ? `any${name.slice(1)}` : name
    const has = isIP(name) !== 0 ? leaf.checkIP(name) : leaf.checkHost(bare, { subject: 'never' })
    if (has === undefined) throw wrong(`the certificate is not for ${name}`)
  }
  if (Date.parse(leaf.validTo) <= Date.now()) throw wrong('the certificate has ended already')
  const chain = [leaf]
  for (;;) {
    const last = chain.at(-1) as X509Certificate
    const next = others.find(each => last.checkIssued(each) && last.verify(each.publicKey))
    if (next === undefined || next.checkIssued(next) || chain.length > maxChain) break
    chain.push(next)
  }
  return chain.map(each => `${each.toString().trim()}\n`).join('')
}
