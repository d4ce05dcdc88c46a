/** Which issuers a configuration needs, and how they are opened: one for each word that a site's `certificate` may be. */
import type { Level } from '../base/log.ts'
import type { ManagedKey } from '../certs/records.ts'
import type { Config } from '../config/config.ts'
import type { AcmeIssuerConfig, OnDemandConfig } from '../config/config-acme.ts'
import type { Issuer } from '../model/issuer.ts'
import type { Storage } from '../model/storage.ts'
import { accountStore } from './account-store.ts'
import { acmeIssuers } from './acme-issuers.ts'
import type { StoredAnswers } from './challenge-answers.ts'

export type ManagedKind = 'acme'

export type OpenedIssuer = { readonly issuer: Issuer; close(): void }

export type IssuerChoice = {
  readonly kind: ManagedKind
  /** The same for the same terms: then its keeper goes on as it is */
  readonly key: string
  readonly keys: readonly ManagedKey[]
  /** Null: a third of the life of each certificate */
  readonly renewBeforeMs: number | null
  readonly onDemand: OnDemandConfig | null
  /** Wildcard names can be proved, so they need not be ordered name by name */
  readonly wildcards: boolean
  open(storage: Storage, answers: StoredAnswers, log: (level: Level, text: string) => void): OpenedIssuer
}

export function issuerChoices(config: Config): IssuerChoice[] {
  const wanted = (kind: ManagedKind) => config.sites.some(site => site.certificate?.kind === kind)
  const choices: IssuerChoice[] = []
  const { acme } = config
  if (acme !== null && wanted('acme')) {
    const { keys, renewBeforeMs, onDemand } = acme
    choices.push({
      kind: 'acme',
      key: `acme ${JSON.stringify(acme)}`,
      keys,
      renewBeforeMs,
      onDemand,
      wildcards: acme.challenges.includes('dns-01'),
      open(storage, answers, log) {
        const account = (directory: string, email: string | null) => accountStore(storage, directory, email)
        const info = (text: string) => log('info', text)
        const { issuers, close } = acmeIssuers(acme, { account, answers, info, warn: text => log('warn', text) })
        const [first] = acme.issuers as readonly [AcmeIssuerConfig]
        // By the first one's name: a fall-back that is added or removed is no reason to order everything anew.
        return { issuer: { ...issuers, name: first.directory }, close }
      },
    })
  }
  return choices
}
