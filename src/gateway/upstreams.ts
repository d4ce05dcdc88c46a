/**
 * The upstreams in use, by name: they outlive reloads. One whose configuration is unchanged stays the same object; one
 * that has changed keeps the destinations that are the same, with their addresses and connections. Compiled upstreams are not in
 * use before `keepOnly`, so that a failed reload changes nothing.
 */
import net from 'node:net'
import type { Log } from '../base/log.ts'
import { type EndpointConfig, endpointLabel, type UpstreamConfig } from '../config/config.ts'
import { lenientTerms } from '../proxy/http1/lenient.ts'
import { Destination } from '../proxy/upstream/destination.ts'
import { DnsSource, type Lookup } from '../proxy/upstream/dns-source.ts'
import type { Spoken } from '../proxy/upstream/endpoint.ts'
import { hashText } from '../proxy/upstream/hash-key.ts'
import { fixedSource } from '../proxy/upstream/source.ts'
import { Upstream, type UpstreamTerms } from '../proxy/upstream/upstream.ts'
import type { CertificateWatch, Watched } from './certificates/certificate-watch.ts'
import { lazyRuntimeRoots } from './certificates/runtime-paths.ts'
import { UpstreamTls } from './upstream-tls.ts'

type Known = { readonly destination: Destination; readonly tls: UpstreamTls | null; readonly isNamed: boolean }

export class Upstreams {
  private readonly byName = new Map<string, Upstream>()
  /** By everything that identifies a backend */
  private readonly destinations = new Map<string, Known>()
  /** The `backendGeneration` of the destinations */
  private renewed = 0
  private readonly watch: CertificateWatch
  private readonly log: Log | null
  private readonly lookup: Lookup | undefined
  private readonly runtimeRoots = lazyRuntimeRoots()

  constructor(watch: CertificateWatch, log: Log | null, lookup: Lookup | undefined) {
    this.watch = watch
    this.log = log
    this.lookup = lookup
  }

  /** Throws UsageError if a file for its TLS cannot be used. */
  upstream(config: UpstreamConfig, resolveMs: number): Upstream {
    const known = config.endpoints.map(each => this.destination(config, each, resolveMs))
    const destinations = known.map(each => each.destination)
    const terms: UpstreamTerms = {
      name: config.name,
      scheme: config.scheme,
      balance: config.balance,
      hash: hashText(config.hash),
      outlier: config.outlier,
      ranks: config.endpoints.map(({ weight = 1, backup = false }) => ({ weight, backup })),
      maxIdle: config.pool.idle,
      hostHeader: config.host,
      proxyProtocol: config.proxyProtocol,
    }
    const before = this.byName.get(config.name)
    if (before?.isMadeOf(terms, destinations)) return before
    const named = known.filter(each => each.isNamed).map(each => each.destination)
    return new Upstream(terms, destinations, [...new Set(named)], (endpoint, why, forMs) =>
      this.log?.write('warn', 'an endpoint was ejected', {
        upstream: config.name,
        endpoint: endpoint.where,
        why,
        seconds: Math.round(forMs / 1000),
      }),
    )
  }

  /** Takes over the content of the files for TLS to backends, as they were last read. */
  renew(): void {
    // Ten thousand sites may get new certificates in a night, which do not concern backends.
    if (this.watch.backendGeneration === this.renewed) return
    this.renewed = this.watch.backendGeneration
    for (const known of this.destinations.values()) renew(known)
  }

  /** These are in use now. Those that no snapshot uses are dropped, and their idle connections are closed. */
  keepOnly(used: Iterable<Upstream>): void {
    this.byName.clear()
    const kept = new Set<Destination>()
    for (const upstream of used) {
      this.byName.set(upstream.name, upstream)
      for (const destination of upstream.set.destinations) kept.add(destination)
      upstream.weigh()
    }
    for (const [key, { destination }] of this.destinations) {
      if (kept.has(destination)) continue
      this.destinations.delete(key)
      destination.stop()
    }
  }

  /** Closes up to `most` idle connections in pools. @returns how many */
  closePooled(most: number): number {
    let closed = 0
    for (const { destination } of this.destinations.values())
      for (const { pool } of destination.endpoints) {
        if (closed >= most) return closed
        closed += pool?.closeIdle(most - closed) ?? 0
      }
    return closed
  }

  /** Files for TLS to backends */
  watched(): Watched[] {
    return [...this.destinations.values()].flatMap(({ tls }) => tls?.watched ?? [])
  }

  private resolves(host: string, failure: string | null): void {
    if (failure === null) this.log?.write('info', 'the name of a backend can be looked up again', { host })
    else this.log?.write('warn', 'the name of a backend cannot be looked up', { host, why: failure })
  }

  private destination(upstream: UpstreamConfig, config: EndpointConfig, resolveMs: number): Known {
    const label = endpointLabel(config)
    const tls =
      upstream.tls === null
        ? null
        : new UpstreamTls(
            upstream.tls,
            upstream.http,
            config.unix ? '' : config.host,
            this.watch,
            this.runtimeRoots,
          )
    // Two upstreams may name the same address; they share the pool only if the TLS terms are the same too.
    const key = JSON.stringify([upstream.name, label, upstream.tls, upstream.http, upstream.lenient, resolveMs])
    const before = this.destinations.get(key)
    if (before !== undefined) {
      renew(before)
      return before
    }
    const spoken: Spoken = {
      label,
      // It has no meaning on a Unix socket, but HTTP/1.1 requires it.
      authority: config.unix ? 'localhost' : label,
      http: upstream.http,
      lenient: lenientTerms(upstream.lenient, leniency =>
        this.log?.write('warn', 'a backend needed a leniency', {
          upstream: upstream.name,
          endpoint: label,
          leniency,
        }),
      ),
      tls: tls?.terms() ?? null,
      http1Tls: tls?.http1Terms() ?? null,
    }
    const { host, port, unix = false } = config
    const report = (failure: string | null) => this.resolves(host, failure)
    const isNamed = !unix && net.isIP(host) === 0
    const destination = new Destination(spoken, user =>
      isNamed
        ? new DnsSource({ host, port, resolveMs, report, lookup: this.lookup }, user)
        : fixedSource({ address: host, port, unix }),
    )
    const known = { destination, tls, isNamed }
    this.destinations.set(key, known)
    return known
  }
}

/** New connections get the new terms; idle ones are closed now, the others when their exchanges are done. */
function renew({ destination, tls }: Known): void {
  if (tls?.changed()) destination.useTls(tls.terms(), tls.http1Terms())
}
