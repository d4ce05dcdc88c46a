/**
 * What outlives a reload: endpoints with their pools, by what makes them the same backend; the local CA; certificates
 * read from files; OCSP responses. A new snapshot borrows them, so that a reload opens no connection and forgets no session.
 */
import { type LocalCa, openLocalCa } from '../certs/ca/local-ca.ts'
import { readText } from '../certs/files/pem.ts'
import { spiffeIdentity } from '../certs/x509/spiffe.ts'
import type { EndpointConfig, UpstreamConfig, UpstreamTlsConfig } from '../config/config.ts'
import type { ClientTls } from '../model/tls-terms.ts'
import type { Endpoint } from '../model/upstream.ts'
import { addressesOf } from './addresses.ts'
import { CertificateWatch } from './certificates/certificate-watch.ts'
import { Staples } from './certificates/staples.ts'

export class Registries {
  readonly certificates = new CertificateWatch()
  private readonly endpoints = new Map<string, Endpoint>()
  readonly staples: Staples
  private localCaOf: { state: string; ca: LocalCa } | null = null

  /** @param now the clock of what ages */
  constructor(now?: () => number) {
    this.staples = new Staples(now)
  }

  endpoint(upstream: UpstreamConfig, config: EndpointConfig, resolveMs: number): Endpoint {
    const alpn = upstream.http === 1 ? ['http/1.1'] : upstream.http === 2 ? ['h2'] : ['h2', 'http/1.1']
    const tls = upstream.tls === null ? null : clientTls(upstream.tls, config.host, alpn)
    const label = `${config.host.includes(':') ? `[${config.host}]` : config.host}:${config.port}`
    // Two upstreams may name the same address; the pool is shared only when the TLS terms are the same too.
    const key = JSON.stringify([upstream.name, label, tls, upstream.http, resolveMs])
    const known = this.endpoints.get(key)
    if (known !== undefined) return known
    const endpoint: Endpoint = {
      label,
      host: config.host,
      port: config.port,
      tls,
      addresses: addressesOf(config.host, resolveMs),
      active: 0,
      http: upstream.http,
      http1Tls: upstream.tls === null ? null : clientTls(upstream.tls, config.host, ['http/1.1']),
      pool: null,
    }
    this.endpoints.set(key, endpoint)
    return endpoint
  }

  /** Forgets the endpoints that no snapshot uses any more, and closes what waits in their pools. */
  keepOnly(used: ReadonlySet<Endpoint>): void {
    for (const [key, endpoint] of this.endpoints) {
      if (used.has(endpoint)) continue
      this.endpoints.delete(key)
      endpoint.pool?.close()
    }
  }

  closeIdle(): void {
    this.staples.stop()
    this.keepOnly(new Set())
  }

  localCa(state: string): LocalCa {
    if (this.localCaOf?.state !== state) this.localCaOf = { state, ca: openLocalCa(state) }
    return this.localCaOf.ca
  }
}

function clientTls(config: UpstreamTlsConfig, host: string, alpn: readonly string[]): ClientTls {
  return {
    caPem: config.caFile === null ? null : readText(config.caFile),
    chainPem: config.certificate === null ? null : readText(config.certificate.chainFile),
    keyPem: config.certificate === null ? null : readText(config.certificate.keyFile),
    serverName: config.serverName ?? host,
    checkName: config.spiffe.length === 0 || config.serverName !== null,
    identity: config.spiffe.length === 0 ? null : spiffeIdentity(config.spiffe),
    verify: config.verify,
    alpn,
    session: null,
    native: null,
  }
}
