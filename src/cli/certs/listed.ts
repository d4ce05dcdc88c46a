/** Certificates as a running gateway has them, or where none runs, as the files of its configuration are. */

import { messageOf, UsageError } from '../../base/errors.ts'
import { type CertificateRow, certificateRows, type ListedCertificate } from '../../certs/files/list.ts'
import type { CertificateConfig, Config, SiteConfig, UpstreamConfig } from '../../config/config.ts'
import { type AskOptions, askGateway, gatewayRuns } from '../../control/client.ts'
import type { Command } from '../../control/command.ts'
import { type Chain, certificates, chains } from '../../control/commands/certificates.ts'
import { CertificateWatch } from '../../gateway/certificates/certificate-watch.ts'
import {
  type CertificateSource,
  fromFiles,
  fromFolder,
  inForce,
  toUpstream,
} from '../../gateway/certificates/certificates.ts'
import { printError } from '../print.ts'
import { storedBundles, storedCertificates } from './stored.ts'

type Found<T> = { readonly running: boolean; readonly found: T }

export async function findCertificates(
  config: Config,
  gateway: AskOptions,
): Promise<Found<readonly CertificateRow[]>> {
  const asked = await askRunning(config.state, certificates, null, gateway)
  if (asked !== null) return { running: true, found: asked }
  const stored = await storedCertificates(config)
  if (stored.elsewhere.length > 0) {
    const hosts = shortList(stored.elsewhere)
    printError(`the certificates of ${hosts} are in Redis, and only a running gateway lists those\n`)
  }
  const listed = [...config.sites.flatMap(ofSite), ...stored.listed, ...config.upstreams.flatMap(ofUpstream)]
  return { running: false, found: certificateRows(listed, Date.now()) }
}

/** The chains that a client asking for `host` may be shown. Throws UsageError where there are none. */
export async function findChains(
  config: Config,
  host: string,
  gateway: AskOptions,
): Promise<Found<readonly Chain[]>> {
  const asked = await askRunning(config.state, chains, { host }, gateway)
  if (asked !== null) return { running: true, found: asked }
  const exact = config.sites.find(site => site.hosts.includes(host))
  const wildcard = `*${host.slice(host.indexOf('.'))}`
  const site =
    exact ?? config.sites.find(({ hosts }) => hosts.includes(wildcard)) ?? config.sites.find(one => one.default)
  if (site === undefined) throw new UsageError(`no site has the host ${host}`)
  const source = sourceOf(site)
  return {
    running: false,
    found: source === null ? await storedBundles(config, site, host) : inForce(source, host),
  }
}

const shortList = (names: readonly string[]): string =>
  names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')

/** Null where no gateway runs. */
async function askRunning<Input, Output>(
  state: string,
  command: Command<Input, Output, Output>,
  input: Input,
  gateway: AskOptions,
): Promise<Output | null> {
  return (await gatewayRuns(state)) ? await askGateway(state, command, input, gateway) : null
}

/** Null where files have no part in it. Throws UsageError where they cannot be used. */
function sourceOf({ certificate, hosts }: SiteConfig): CertificateSource | null {
  if (certificate?.kind === 'files')
    return looked(watch => fromFiles(certificate.pairs, hosts, watch, false, () => {}))
  if (certificate?.kind === 'directory')
    return looked(watch => fromFolder(certificate.folder, hosts, watch, false, () => {}))
  return null
}

/** Once: nobody waits for changes here. */
function looked<T>(look: (watch: CertificateWatch) => T): T {
  const watch = new CertificateWatch()
  try {
    return look(watch)
  } finally {
    watch.close()
  }
}

function ofSite(site: SiteConfig): ListedCertificate[] {
  return partsOf(site.certificate).flatMap(certificate => {
    const file = certificate.kind === 'files' ? (certificate.pairs[0]?.chainFile ?? '') : certificate.folder
    return listed([site.name], file, () => sourceOf({ ...site, certificate }))
  })
}

function ofUpstream({ name, tls }: UpstreamConfig): ListedCertificate[] {
  const certificate = tls?.certificate ?? null
  if (certificate === null) return []
  return listed([`upstream ${name}`], certificate.chainFile, () =>
    looked(watch => toUpstream(certificate, watch, () => {})),
  )
}

/** What cannot be read is in the list, with the reason. */
function listed(sites: readonly string[], file: string, open: () => CertificateSource | null): ListedCertificate[] {
  try {
    return [...(open()?.held() ?? [])].map(one => ({ ...one, sites, problem: one.problem ?? loadProblem(one) }))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    const nothing = { leaf: () => null, validity: () => null, superseded: false }
    return [{ source: file, sites, problem: error.message, ...nothing }]
  }
}

type OfFiles = Extract<CertificateConfig, { kind: 'files' | 'directory' }>

/** Each pair by itself: one that is broken says nothing about the others. */
function partsOf(certificate: CertificateConfig | null): OfFiles[] {
  if (certificate?.kind === 'directory') return [certificate]
  return certificate?.kind === 'files' ? certificate.pairs.map(pair => ({ kind: 'files', pairs: [pair] })) : []
}

function loadProblem(one: { bundle(): unknown }): string | null {
  try {
    one.bundle()
    return null
  } catch (error) {
    return messageOf(error)
  }
}
