/**
 * What outlives a reload: upstreams with their endpoints and pools; the local CA; certificates
 * from files; OCSP responses; revocation lists; pages, and which sites are in maintenance. A new snapshot borrows them, so that a reload keeps all connections and sessions.
 */
import type { Log } from '../base/log.ts'
import { type LocalCa, openLocalCa } from '../certs/ca/local-ca.ts'
import type { Lookup } from '../proxy/upstream/dns-source.ts'
import { CertificateWatch } from './certificates/certificate-watch.ts'
import { CrlSources } from './certificates/crl-sources.ts'
import { Staples } from './certificates/staples.ts'
import { LastingParts } from './lasting.ts'
import { Upstreams } from './upstreams.ts'

export class Registries {
  readonly certificates = new CertificateWatch()
  readonly upstreams: Upstreams
  readonly staples: Staples
  readonly crls = new CrlSources()
  readonly lasting: LastingParts
  private localCaOf: { state: string; ca: LocalCa } | null = null

  /** The clock for everything that expires */
  readonly now: () => number

  /**
   * @param lookup resolves the names of backends; the system's resolver when left out
   * @param log has a record when lookups of a name begin to fail, and when they succeed again
   */
  constructor(now: () => number = Date.now, lookup?: Lookup, log: Log | null = null) {
    this.now = now
    this.upstreams = new Upstreams(this.certificates, log, lookup)
    this.staples = new Staples(now)
    this.lasting = new LastingParts(log)
  }

  closeIdle(): void {
    this.staples.stop()
    this.upstreams.keepOnly([])
  }

  /** There is no configuration any more: releases everything. */
  close(): void {
    this.closeIdle()
    this.staples.keepOnly(new Set())
    this.crls.keepOnly(new Set())
    this.lasting.keepOnly({ pages: new Set(), sites: new Set() })
    this.certificates.keepOnly(new Set())
  }

  localCa(state: string): LocalCa {
    if (this.localCaOf?.state !== state) this.localCaOf = { state, ca: openLocalCa(state, this.now) }
    return this.localCaOf.ca
  }
}
