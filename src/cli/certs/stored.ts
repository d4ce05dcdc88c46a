/** Certificates that a gateway orders by itself, as its files have them while none runs: only read, without locks. */
import { messageOf, UsageError } from '../../base/errors.ts'
import type { ListedCertificate } from '../../certs/files/list.ts'
import { certificateIn, certificatesPrefix, idOf, type SubjectId } from '../../certs/managed/records.ts'
import { summaryOf, validityOf } from '../../certs/x509/leaf.ts'
import type { Config, SiteConfig } from '../../config/config.ts'
import { type IssuerChoice, issuerChoices } from '../../gateway/certificates/issuers.ts'
import { type KeptNames, keptNames, seenNames } from '../../gateway/certificates/managed-names.ts'
import { readStorage } from '../../gateway/certificates/storage.ts'
import type { Bundle } from '../../model/certificate.ts'
import type { Storage } from '../../model/storage.ts'

type ManagedSite = { readonly site: SiteConfig; readonly choice: IssuerChoice; readonly names: KeptNames }

/** `elsewhere`: hosts whose certificates are in Redis */
type Stored = { readonly listed: readonly ListedCertificate[]; readonly elsewhere: readonly string[] }

export async function storedCertificates(config: Config): Promise<Stored> {
  const sites = managedSites(config)
  if (sites.length === 0) return { listed: [], elsewhere: [] }
  let storage: Storage | null
  let all: readonly SubjectId[] = []
  try {
    storage = await readStorage(config)
    if (storage === null) return { listed: [], elsewhere: sites.flatMap(({ site }) => site.hosts) }
    if (sites.some(({ choice }) => choice.onDemand !== null)) all = await allIn(storage)
  } catch (error) {
    // What is in files beside it can be listed all the same.
    const listed = sites.map(({ site }) => row(site, site.name, null, messageOf(error)))
    return { listed, elsewhere: [] }
  }
  const asked = [...new Set(all.map(({ name }) => name))]
  const seen = seenNames(config.sites, () => asked)
  const listed: ListedCertificate[] = []
  for (const { site, choice, names } of sites) {
    for (const name of names.names) listed.push(...(await rowsOf(storage, site, name, choice, true)))
    if (choice.onDemand === null) continue
    for (const name of seen(site.name))
      if (names.of(name) === null) listed.push(...(await rowsOf(storage, site, name, choice, false)))
  }
  return { listed, elsewhere: [] }
}

/** What is there for a client of this site that asks for `host`. Throws UsageError. */
export async function storedBundles(config: Config, site: SiteConfig, host: string): Promise<readonly Bundle[]> {
  const found = managedSites(config).find(one => one.site === site)
  if (found === undefined) return []
  const { choice, names } = found
  const name = names.of(host) ?? host
  try {
    const storage = await readStorage(config)
    if (storage === null) return []
    const kept = await Promise.all(choice.keys.map(keyType => certificateIn(storage, { name, keyType })))
    return kept.filter(one => one !== null).map(({ bundle }) => bundle)
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}

function managedSites(config: Config): ManagedSite[] {
  const choices = issuerChoices(config)
  return config.sites.flatMap(site => {
    const choice = choices.find(({ kind }) => kind === site.certificate?.kind)
    return choice === undefined
      ? []
      : [{ site, choice, names: keptNames(site, choice.onDemand !== null, choice.wildcards) }]
  })
}

async function allIn(storage: Storage): Promise<readonly SubjectId[]> {
  const keys = await storage.list(certificatesPrefix)
  return keys.map(key => idOf(key.slice(certificatesPrefix.length))).filter(id => id !== null)
}

/** @param always a name without a certificate is in the list as well */
async function rowsOf(
  storage: Storage,
  site: SiteConfig,
  name: string,
  { keys }: IssuerChoice,
  always: boolean,
): Promise<ListedCertificate[]> {
  const rows: ListedCertificate[] = []
  for (const keyType of keys) {
    try {
      const bundle = (await certificateIn(storage, { name, keyType }))?.bundle ?? null
      if (bundle !== null || always)
        rows.push(row(site, name, bundle, bundle === null ? 'there is none yet' : null))
    } catch (error) {
      rows.push(row(site, name, null, messageOf(error)))
    }
  }
  return rows
}

function row(site: SiteConfig, name: string, bundle: Bundle | null, problem: string | null): ListedCertificate {
  return {
    source: bundle?.source ?? name,
    sites: [site.name],
    leaf: () => bundle && summaryOf(bundle.chainPem),
    validity: () => bundle && validityOf(bundle.chainPem),
    problem,
    superseded: false,
    ordered: name,
  }
}
