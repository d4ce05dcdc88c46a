/**
 * What outlives a reload: endpoints with their pools, by what makes them the same backend; the local CA; certificates
 * read from files; OCSP responses; revocation lists. A new snapshot borrows them, so that a reload opens no connection and forgets no session.
 */
import { type LocalCa, openLocalCa } from '../certs/ca/local-ca.ts'
import type { EndpointConfig, UpstreamConfig } from '../config/config.ts'
import type { Endpoint } from '../model/upstream.ts'
import { addressesOf, type Lookup } from './addresses.ts'
import { CertificateWatch, type Watched } from './certificates/certificate-watch.ts'
import { CrlSources } from './certificates/crl-sources.ts'
import { Staples } from './certificates/staples.ts'
import { lazyRuntimeRoots, UpstreamTls } from './upstream-tls.ts'

export class Registries {
  readonly certificates = new CertificateWatch()
  private readonly endpoints = new Map<string, Known>()
  /** The `backendGeneration` that the endpoints have */
  private renewed = 0
  readonly staples: Staples
  readonly crls = new CrlSources()
  private readonly runtimeRoots = lazyRuntimeRoots()
  private localCaOf: { state: string; ca: LocalCa } | null = null

  /** The clock of what ages */
  readonly now: () => number

  private readonly lookup: Lookup | undefined

  /** @param lookup of names of backends; the system's where left out */
  constructor(now: () => number = Date.now, lookup?: Lookup) {
    this.now = now
    this.lookup = lookup
    this.staples = new Staples(now)
  }

  /** Throws UsageError where a file of its TLS cannot be used. */
  endpoint(upstream: UpstreamConfig, config: EndpointConfig, resolveMs: number): Endpoint {
    const label = `${config.host.includes(':') ? `[${config.host}]` : config.host}:${config.port}`
    const tls =
      upstream.tls === null
        ? null
        : new UpstreamTls(upstream.tls, upstream.http, config.host, this.certificates, this.runtimeRoots)
    // Two upstreams may name the same address; the pool is shared only when the TLS terms are the same too.
    const key = JSON.stringify([upstream.name, label, upstream.tls, upstream.http, resolveMs])
    const known = this.endpoints.get(key)
    if (known !== undefined) {
      renew(known)
      return known.endpoint
    }
    const endpoint: Endpoint = {
      label,
      host: config.host,
      port: config.port,
      tls: tls?.terms() ?? null,
      addresses: addressesOf(config.host, {
        resolveMs,
        inUse: () => endpoint.active > 0 || (endpoint.pool?.size ?? 0) > 0,
        answered: () => endpoint.pool?.retire(),
        lookup: this.lookup,
      }),
      active: 0,
      avoidUntil: 0,
      http: upstream.http,
      http1Tls: tls?.http1Terms() ?? null,
      pool: null,
    }
    this.endpoints.set(key, { endpoint, tls })
    return endpoint
  }

  /** What is in the files of the endpoints' TLS, as they were looked at last, counts from now on. */
  renewEndpoints(): void {
    // Ten thousand sites may have theirs replaced in a night, which are nothing to backends.
    if (this.certificates.backendGeneration === this.renewed) return
    this.renewed = this.certificates.backendGeneration
    for (const known of this.endpoints.values()) renew(known)
  }

  /** Forgets the endpoints that no snapshot uses any more, and closes what waits in their pools. */
  keepOnly(used: ReadonlySet<Endpoint>): void {
    for (const [key, { endpoint }] of this.endpoints) {
      if (used.has(endpoint)) continue
      this.endpoints.delete(key)
      endpoint.addresses.stop()
      endpoint.pool?.close()
    }
  }

  /** Closes up to `most` connections that wait in pools. @returns how many */
  closePooled(most: number): number {
    let closed = 0
    for (const { endpoint } of this.endpoints.values()) {
      if (closed >= most) break
      closed += endpoint.pool?.closeIdle(most - closed) ?? 0
    }
    return closed
  }

  /** Files of the endpoints' TLS */
  watchedByEndpoints(): Watched[] {
    return [...this.endpoints.values()].flatMap(({ tls }) => tls?.watched ?? [])
  }

  closeIdle(): void {
    this.staples.stop()
    this.keepOnly(new Set())
  }

  /** Nothing is in force, and nothing is kept for it. */
  close(): void {
    this.closeIdle()
    this.staples.keepOnly(new Set())
    this.crls.keepOnly(new Set())
    this.certificates.keepOnly(new Set())
  }

  localCa(state: string): LocalCa {
    if (this.localCaOf?.state !== state) this.localCaOf = { state, ca: openLocalCa(state, this.now) }
    return this.localCaOf.ca
  }
}

type Known = { readonly endpoint: Endpoint; readonly tls: UpstreamTls | null }

/** New connections have the new terms; those that are idle go, and the others when their exchanges are done. */
function renew({ endpoint, tls }: Known): void {
  if (tls === null || !tls.changed()) return
  endpoint.tls = tls.terms()
  endpoint.http1Tls = tls.http1Terms()
  endpoint.pool?.close()
  endpoint.pool = null
}
