/**
 * Open ACME challenges, in storage: the process that orders stores the response there, and every process that shares the storage
 * serves it, whichever of them the CA reaches.
 *
 * Lookups come from the network: their number is limited, and names that could be a path are refused.
 */
import { createHash } from 'node:crypto'
import { messageOf } from '../../base/errors.ts'
import { formatAddress } from '../../base/ip.ts'
import type { Log } from '../../base/log.ts'
import { challengeCertificate } from '../../certs/ca/challenge-certificate.ts'
import { acmeProtocol, type ChallengeAnswers, type ChallengeKind } from '../../model/challenge.ts'
import { policies } from '../../model/policies.ts'
import type { Storage } from '../../model/storage.ts'
import type { ServerTls } from '../../model/tls-terms.ts'
import { offerOf } from '../../tls/offer.ts'
import { serverTerms } from '../../tls/site-tls.ts'

/** A challenge that was never removed expires after this. */
const ttlMs = 3_600_000
const mostAtOnce = 64

export class StoredAnswers implements ChallengeAnswers {
  readonly any = true
  private readonly storage: Storage
  private readonly log: Log
  private atOnce = 0
  private swept = false

  constructor(storage: Storage, log: Log) {
    this.storage = storage
    this.log = log
  }

  async put(kind: ChallengeKind, name: string, token: string, keyAuthorization: string): Promise<void> {
    await this.storage.put(keyOf(kind, name, token), Buffer.from(keyAuthorization), { ttlMs })
    if (this.swept) return
    this.swept = true
    // A process that was killed during an order leaves its response; listing them removes expired ones.
    void this.storage.list('challenges/').catch(() => {})
  }

  async remove(kind: ChallengeKind, name: string, token: string): Promise<void> {
    await this.storage.delete(keyOf(kind, name, token))
  }

  async http01(token: string): Promise<string | null> {
    return await this.find(keyOf('http-01', '', token))
  }

  async tlsAlpn01(serverName: string): Promise<ServerTls | null> {
    const name = reverseAddress(serverName) ?? serverName
    const keyAuthorization = await this.find(keyOf('tls-alpn-01', name, ''))
    if (keyAuthorization === null) return null
    const { policy } = offerOf(policies['intermediate']!)
    return serverTerms(challengeCertificate(name, keyAuthorization), policy, [acmeProtocol], null)
  }

  private async find(key: string): Promise<string | null> {
    if (this.atOnce >= mostAtOnce) return null
    this.atOnce++
    try {
      const value = await this.storage.get(key)
      return value === null ? null : value.toString('utf8')
    } catch (error) {
      this.log.write('warn', 'a challenge cannot be looked up', { why: messageOf(error) })
      return null
    } finally {
      this.atOnce--
    }
  }
}

/** Hashed: tokens have capital letters, and names may be anything. */
function keyOf(kind: ChallengeKind, name: string, token: string): string {
  const of = kind === 'http-01' ? token : name
  return `challenges/${kind}.${createHash('sha256').update(of).digest('hex')}`
}

/** The address of a reverse name (RFC 8738 section 6), or null. */
function reverseAddress(name: string): string | null {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name)
  if (four !== null) return four.slice(1).reverse().join('.')
  const six = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)
  if (six === null) return null
  const digits = (six[1] as string).split('.').slice(0, 32).reverse().join('')
  return formatAddress(Buffer.from(digits, 'hex'))
}
