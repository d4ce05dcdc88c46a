/**
 * Managed certificates: storage, issuers and renewers, composed from the
 * configuration. It outlives reloads: if the configuration of an issuer is unchanged, its renewer is kept.
 *
 * Everything that can fail is in `prepare`; nothing is ordered for a configuration that was not applied.
 */

import { X509Certificate } from 'node:crypto'
import type { Log } from '../../base/log.ts'
import { termsText } from '../../base/same-terms.ts'
import type { RenewalFailure } from '../../certs/managed/managed-certificate.ts'
import { asking, OnDemand } from '../../certs/managed/on-demand.ts'
import { certificatesPrefix, type ManagedKey, partOf } from '../../certs/managed/records.ts'
import { type KeeperOptions, Renewer } from '../../certs/managed/renewer.ts'
import type { Config, OnDemandConfig, SiteConfig } from '../../config/config.ts'
import type { Bundle } from '../../model/certificate.ts'
import { type ChallengeAnswers, noChallenges } from '../../model/challenge.ts'
import type { Issuer } from '../../model/issuer.ts'
import type { Storage } from '../../model/storage.ts'
import { StoredAnswers } from './challenge-answers.ts'
import { InternalCaSlot, servesAcme } from './internal-ca-slot.ts'
import { type IssuerChoice, issuerChoices, type ManagedKind, type OpenedIssuer } from './issuers.ts'
import { type KeptNames, keptNames, seenNames } from './managed-names.ts'
import { openStorage } from './storage.ts'

/** The renewers of one issuer. */
type Kept = {
  readonly issuer: Issuer
  readonly renewer: Renewer
  readonly wildcards: boolean
  /** For names that are first requested in a handshake */
  readonly demand: { readonly onDemand: OnDemand; readonly renewer: Renewer } | null
  rollOver: OpenedIssuer['rollOver']
  close(): Promise<void>
}

/** For one keyword of `certificate`; `key` is equal for equal terms */
type Chosen = { readonly kind: ManagedKind; readonly key: string; readonly kept: Kept }

/** The current certificates of one site. */
export type ManagedSite = {
  /** Throws or rejects with an Error that says why there is none. */
  for(serverName: string): readonly Bundle[] | Promise<readonly Bundle[]>
  /** The existing certificates; may be empty. Orders nothing. */
  inForce(serverName: string): readonly Bundle[]
  held(): readonly { readonly name: string; readonly bundles: readonly Bundle[]; readonly problem: string | null }[]
}

/** The certificates of a configuration that is not applied yet. */
export interface Prepared {
  site(config: SiteConfig): ManagedSite
  /** Loads the stored certificates, so that the first handshake finds them. */
  load(): Promise<void>
  /** The configuration was applied: releases what it no longer names, and begins to order. */
  commit(): void
  /** It will not be applied. */
  discard(): Promise<void>
}

type Opened = { readonly key: string; readonly storage: Storage; readonly answers: StoredAnswers }

export class ManagedCertificates implements ChallengeAnswers {
  private readonly log: Log
  private opened: Opened | null = null
  private kept = new Map<string, Kept>()
  private readonly internalCa: InternalCaSlot
  private readonly failed: (failure: RenewalFailure) => void
  private readonly now: () => number

  /** @param failed is called for orders that fail repeatedly. @param now milliseconds since 1970 */
  constructor(log: Log, failed: (failure: RenewalFailure) => void, now: () => number = Date.now) {
    this.log = log
    this.now = now
    this.failed = failed
    this.internalCa = new InternalCaSlot(log)
  }

  /** The directory of the internal CA's ACME server, while this process serves it */
  get directory(): string | null {
    return this.internalCa.directory
  }

  get any(): boolean {
    return this.opened !== null
  }

  http01(token: string): Promise<string | null> {
    return (this.opened?.answers ?? noChallenges).http01(token)
  }

  tlsAlpn01(serverName: string): ReturnType<ChallengeAnswers['tlsAlpn01']> {
    return (this.opened?.answers ?? noChallenges).tlsAlpn01(serverName)
  }

  /** Throws UsageError or StorageError, and then changes nothing. */
  async prepare(config: Config): Promise<Prepared> {
    const choices = issuerChoices(config)
    if (choices.length === 0 && !servesAcme(config)) return this.prepared(config, null, [], [])
    const key = termsText([config.storage, config.state])
    const opened = this.opened?.key === key ? this.opened : await this.open(key, config)
    const chosen: Chosen[] = []
    const fresh: Kept[] = []
    try {
      for (const choice of choices) {
        const own = `${key} ${choice.key}`
        const known = this.kept.get(own)
        const made = known ?? this.make(choice, opened)
        if (known === undefined) fresh.push(made)
        chosen.push({ kind: choice.kind, key: own, kept: made })
      }
    } catch (error) {
      for (const each of fresh) await each.close()
      if (opened !== this.opened) await opened.storage.close()
      throw error
    }
    return this.prepared(config, opened, chosen, fresh)
  }

  /** Renews the certificate for `host` even if it is not due. Rejects with the reason if it fails. */
  async renew(host: string): Promise<readonly Bundle[]> {
    const { renewer, name } = this.find(host)
    return await renewer.renew(name)
  }

  /** Orders a certificate with a new key, and has the issuer revoke the current one. */
  async revoke(host: string, reason: number): Promise<readonly Bundle[]> {
    const { renewer, name, issuer } = this.find(host)
    const old = renewer.bundles(name) ?? []
    const fresh = await renewer.renew(name)
    for (const { chainPem, fingerprint256 } of old) {
      await issuer.revoke(new X509Certificate(chainPem).raw, reason, AbortSignal.timeout(60_000))
      this.log.write('info', 'certificate revoked', { name, fingerprint: fingerprint256, reason })
    }
    return fresh
  }

  /** New keys for the accounts at ACME CAs. @returns their directories */
  async rollOver(): Promise<readonly string[]> {
    const done: string[] = []
    for (const each of this.kept.values()) {
      for (const directory of await each.rollOver(AbortSignal.timeout(120_000))) {
        this.log.write('info', 'ACME account has a new key', { directory })
        done.push(directory)
      }
    }
    return done
  }

  async close(): Promise<void> {
    const { kept, opened } = this
    this.kept = new Map()
    this.opened = null
    await this.internalCa.close()
    for (const each of kept.values()) await each.close()
    await opened?.storage.close().catch(() => {})
  }

  private async open(key: string, config: Config): Promise<Opened> {
    const storage = await openStorage(config, text => this.log.write('warn', text))
    return { key, storage, answers: new StoredAnswers(storage, this.log) }
  }

  private make(choice: IssuerChoice, { storage, answers }: Opened): Kept {
    const opened = choice.open(storage, answers, (level, text) => this.log.write(level, text))
    const { issuer } = opened
    const options: KeeperOptions = {
      storage,
      issuer,
      keys: choice.keys,
      renewBeforeMs: choice.renewBeforeMs,
      log: (level, message, fields) => this.log.write(level, message, fields),
      now: this.now,
      random: Math.random,
      failed: this.failed,
    }
    const renewer = new Renewer(options)
    const demand = choice.onDemand === null ? null : demandOf(choice.onDemand, options)
    return {
      issuer,
      renewer,
      wildcards: choice.wildcards,
      demand,
      rollOver: signal => opened.rollOver(signal),
      async close() {
        await Promise.all([renewer.stop(), demand?.renewer.stop()])
        opened.close()
      },
    }
  }

  private prepared(
    config: Config,
    opened: Opened | null,
    chosen: readonly Chosen[],
    fresh: readonly Kept[],
  ): Prepared {
    const kept = new Map(chosen.map(each => [each.key, each.kept]))
    const of = new Map(chosen.map(each => [each.kind, each.kept]))
    const byKind = new Map<ManagedKind, Set<string>>()
    let caStarted = false
    const seen = new Map([...of].map(([kind, { demand }]) => [kind, seenBy(config, demand)]))
    return {
      site: site => {
        const kind = site.certificate?.kind as ManagedKind
        const own = of.get(kind) as Kept
        const names = keptNames(site, own.demand !== null, own.wildcards)
        const all = byKind.get(kind) ?? new Set()
        for (const name of names.names) all.add(name)
        byKind.set(kind, all)
        return siteOf(own, names, () => seen.get(kind)?.(site.name) ?? [])
      },
      load: async () => {
        caStarted = await this.internalCa.prepare(config, opened?.storage ?? null)
        // Current certificates stay until the new snapshot is applied.
        for (const [kind, own] of of)
          await own.renewer.keep([...new Set([...own.renewer.names(), ...(byKind.get(kind) ?? [])])])
      },
      commit: () => {
        const before = this.kept
        const storage = this.opened
        this.kept = kept
        this.opened = opened
        const inUse = this.internalCa.use(config, opened?.storage ?? null)
        const over = [...before].filter(([own]) => !kept.has(own)).map(([, each]) => each.close())
        void Promise.all([...over, inUse]).then(() =>
          storage === opened ? undefined : storage?.storage.close().catch(() => {}),
        )
        for (const [kind, own] of of) {
          const names = byKind.get(kind) ?? new Set()
          for (const name of own.renewer.names()) if (!names.has(name)) own.renewer.forget(name)
          own.renewer.begin()
          own.demand?.renewer.begin()
        }
      },
      discard: async () => {
        for (const each of fresh) await each.close()
        if (caStarted) await this.internalCa.close()
        if (opened !== null && opened !== this.opened) await opened.storage.close().catch(() => {})
      },
    }
  }

  private find(host: string): { readonly renewer: Renewer; readonly name: string; readonly issuer: Issuer } {
    const wildcard = `*${host.slice(host.indexOf('.'))}`
    for (const { renewer, demand, issuer } of this.kept.values()) {
      for (const each of demand === null ? [renewer] : [renewer, demand.renewer]) {
        const name = [host, wildcard].find(own => each.keeps(own))
        if (name !== undefined) return { renewer: each, name, issuer }
      }
    }
    throw new Error(`${host} has no certificate that the gateway orders itself`)
  }
}

function demandOf(terms: OnDemandConfig, options: KeeperOptions): Kept['demand'] {
  const renewer = new Renewer({ ...options, issuer: asking(options.issuer, terms) })
  const [keyType] = options.keys as readonly [ManagedKey]
  const known = async (name: string) =>
    (await options.storage.get(`${certificatesPrefix}${partOf({ name, keyType })}`)) !== null
  return { renewer, onDemand: new OnDemand(terms, renewer, known) }
}

const seenBy = (config: Config, demand: Kept['demand']): ((site: string) => readonly string[]) | null =>
  demand === null ? null : seenNames(config.sites, () => demand.renewer.names())

/** @param seen names for which clients of this site have had certificates ordered */
function siteOf({ renewer, demand }: Kept, names: KeptNames, seen: () => readonly string[]): ManagedSite {
  const heldBy = (own: Renewer) => (name: string) => ({
    name,
    bundles: own.bundles(name) ?? [],
    problem: own.problem(name),
  })
  return {
    for(serverName) {
      const name = names.of(serverName)
      if (name === null && demand !== null) return demand.onDemand.bundles(serverName)
      const bundles = renewer.bundles(name ?? serverName)
      if (bundles !== null && bundles.length > 0) return bundles
      throw new Error(renewer.problem(name ?? serverName) ?? 'it is being ordered')
    },
    inForce: serverName =>
      renewer.bundles(names.of(serverName) ?? serverName) ?? demand?.renewer.bundles(serverName) ?? [],
    held() {
      const always = names.names.map(heldBy(renewer))
      if (demand === null) return always
      // A name without a certificate is only something that a client has requested.
      const asked = seen().filter(name => names.of(name) === null)
      return [...always, ...asked.map(heldBy(demand.renewer)).filter(({ bundles }) => bundles.length > 0)]
    },
  }
}
