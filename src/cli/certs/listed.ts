/** Certificates as a running gateway has them, or where none runs, as the files of its configuration are. */
import { askGateway, gatewayRuns } from '../../admin/control-client.ts'
import { messageOf, UsageError } from '../../base/errors.ts'
import { type CertificateRow, certificateRows, type ListedCertificate } from '../../certs/files/list.ts'
import type { CertificateConfig, Config, SiteConfig } from '../../config/config.ts'
import { CertificateWatch } from '../../gateway/certificates/certificate-watch.ts'
import { type CertificateSource, fromFiles, fromFolder, inForce } from '../../gateway/certificates/certificates.ts'
import type { Chain } from '../controls.ts'

export type Found<T> = { readonly running: boolean; readonly found: T }

export async function findCertificates(config: Config): Promise<Found<CertificateRow[]>> {
  const asked = await askRunning<CertificateRow[]>(config.state, 'certificates', '')
  if (asked !== null) return { running: true, found: asked }
  return { running: false, found: certificateRows(config.sites.flatMap(listedOf), Date.now()) }
}

/** The chains that a client asking for `host` may be shown. Throws UsageError where there are none. */
export async function findChains(config: Config, host: string): Promise<Found<readonly Chain[]>> {
  const asked = await askRunning<Chain[]>(config.state, 'chains', host)
  if (asked !== null) return { running: true, found: asked }
  const exact = config.sites.find(site => site.hosts.includes(host))
  const wildcard = `*${host.slice(host.indexOf('.'))}`
  const site =
    exact ?? config.sites.find(({ hosts }) => hosts.includes(wildcard)) ?? config.sites.find(one => one.default)
  if (site === undefined) throw new UsageError(`no site has the host ${host}`)
  const source = sourceOf(site)
  return { running: false, found: source === null ? [] : inForce(source, host) }
}

/** Null where no gateway runs. */
async function askRunning<T>(state: string, question: string, about: string): Promise<T | null> {
  if (!(await gatewayRuns(state))) return null
  const [reply] = await askGateway<T>(state, question, { one: true, of: about })
  if (reply?.ok === undefined) throw new UsageError(reply?.error ?? 'the gateway gave no answer')
  return reply.ok
}

/** Null where files have no part in it. Throws UsageError where they cannot be used. */
function sourceOf({ certificate, hosts }: SiteConfig): CertificateSource | null {
  const watch = new CertificateWatch()
  try {
    if (certificate?.kind === 'files') return fromFiles(certificate.pairs, hosts, watch, false, () => {})
    if (certificate?.kind === 'directory') return fromFolder(certificate.folder, hosts, watch, false, () => {})
    return null
  } finally {
    watch.close()
  }
}

/** What cannot be read is in the list, with the reason. */
function listedOf(site: SiteConfig): ListedCertificate[] {
  return partsOf(site.certificate).flatMap((certificate): ListedCertificate[] => {
    const sites = [site.name]
    try {
      const held = [...(sourceOf({ ...site, certificate })?.held() ?? [])]
      return held.map(one => ({ ...one, sites, problem: one.problem ?? loadProblem(one) }))
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      const source = certificate.kind === 'files' ? (certificate.pairs[0]?.chainFile ?? '') : certificate.folder
      return [{ source, sites, leaf: () => null, validity: () => null, problem: error.message, superseded: false }]
    }
  })
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
