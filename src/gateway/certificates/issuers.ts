/** The issuers that a configuration needs, and how they are opened: one for each keyword that `certificate` of a site accepts. */

import type { Level } from '../../base/log.ts'
import { termsText } from '../../base/same-terms.ts'
import type { ManagedKey } from '../../certs/managed/records.ts'
import type { AcmeIssuerConfig, Config, OnDemandConfig } from '../../config/config.ts'
import type { Issuer } from '../../model/issuer.ts'
import type { Storage } from '../../model/storage.ts'
import { vaultIssuer } from '../../vault/issuer.ts'
import { accountStore } from './account-store.ts'
import { acmeIssuers } from './acme-issuers.ts'
import type { StoredAnswers } from './challenge-answers.ts'
import { serverTrust } from './server-trust.ts'

export type ManagedKind = 'acme' | 'vault'

export type OpenedIssuer = {
  readonly issuer: Issuer
  /** Changes the keys of the accounts at its CAs (RFC 8555 section 7.3.5). @returns their directories */
  rollOver(signal: AbortSignal): Promise<readonly string[]>
  close(): void
}

export type IssuerChoice = {
  readonly kind: ManagedKind
  /** Equal for equal terms: then the renewer is kept */
  readonly key: string
  readonly keys: readonly ManagedKey[]
  /** Null: a third of the lifetime of each certificate */
  readonly renewBeforeMs: number | null
  readonly onDemand: OnDemandConfig | null
  /** Wildcard names can be validated, so they need not be ordered name by name */
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
      key: `acme ${termsText(acme)}`,
      keys,
      renewBeforeMs,
      onDemand,
      wildcards: acme.challenges.includes('dns-01'),
      open(storage, answers, log) {
        const account = (directory: string, email: string | null) => accountStore(storage, directory, email)
        const info = (text: string) => log('info', text)
        const { issuers, accounts, close } = acmeIssuers(acme, {
          account,
          answers,
          info,
          warn: text => log('warn', text),
        })
        const [first] = acme.issuers as readonly [AcmeIssuerConfig]
        // By the name of the first one: adding or removing a fallback is no reason to order everything again.
        const issuer = { ...issuers, name: first.directory }
        const rollOver = async (signal: AbortSignal) => {
          for (const { account } of accounts) await account.rollOver(signal)
          return accounts.map(each => each.name)
        }
        return { issuer, rollOver, close }
      },
    })
  }
  if (config.vault !== null && wanted('vault')) {
    const { caFile, ...terms } = config.vault
    choices.push({
      kind: 'vault',
      key: `vault ${termsText(config.vault)}`,
      keys: ['ecdsa'],
      renewBeforeMs: null,
      onDemand: null,
      wildcards: true,
      open: () => {
        const trust = serverTrust(caFile)
        return { issuer: vaultIssuer({ ...terms, trust }), rollOver: async () => [], close: () => {} }
      },
    })
  }
  return choices
}
