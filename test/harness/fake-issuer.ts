/** An issuer in memory, for tests of what keeps certificates: it signs what is asked, or fails as it is told. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { children, read } from '../../src/certs/x509/der.ts'
import { sortNames } from '../../src/certs/x509/names.ts'
import { buildCertificate } from '../../src/certs/x509/x509-build.ts'
import { IssueError, type IssueOrder, type Issuer, type RenewalWindow } from '../../src/model/issuer.ts'

export class FakeIssuer implements Issuer {
  readonly name: string
  readonly orders: IssueOrder[] = []
  readonly revoked: { der: Uint8Array; reason: number }[] = []
  lifetimeMs = 90 * 86_400_000
  now: () => number
  window: RenewalWindow | null = null
  asked = 0
  /** Called with each order before it is signed; throws, or waits */
  during: (order: IssueOrder, signal: AbortSignal) => Promise<void> | void = () => {}
  /** What of the chain comes out */
  garble: (chainPem: string) => string = chainPem => chainPem
  private readonly key = generateKeyPairSync('ec', { namedCurve: 'P-256' })

  constructor(name = 'https://ca.test/dir', now: () => number = Date.now) {
    this.name = name
    this.now = now
  }

  async issue(order: IssueOrder, signal: AbortSignal): Promise<string> {
    this.orders.push(order)
    await this.during(order, signal)
    if (signal.aborted) throw new IssueError('cancelled', 'cancelled')
    const body = children(read(order.csrDer))[0]!
    const publicKey = createPublicKey({ key: children(body)[2]!.raw, format: 'der', type: 'spki' })
    const now = this.now()
    const { pem } = buildCertificate({
      subject: {},
      issuer: { commonName: 'Fake CA' },
      publicKey,
      signingKey: this.key.privateKey,
      notBefore: now,
      notAfter: now + this.lifetimeMs,
      ...sortNames(order.names),
      extendedKeyUsage: ['serverAuth'],
    })
    return this.garble(pem)
  }

  async renewal(): Promise<RenewalWindow | null> {
    this.asked++
    return this.window
  }

  async revoke(der: Uint8Array, reason: number): Promise<void> {
    this.revoked.push({ der, reason })
  }
}
