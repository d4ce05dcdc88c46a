/** What the server is told when it is made, and what its parts share. */
import type { Log } from '../base/log.ts'
import type { Authority, CertificateUse } from '../model/authority.ts'
import type { ChallengeKind } from '../model/challenge.ts'
import type { Storage } from '../model/storage.ts'
import type { Limits } from './limits.ts'
import type { AllowList } from './names.ts'
import type { Nonces } from './nonces.ts'
import type { AcmeRecords } from './records.ts'
import type { Validate } from './validate.ts'

type ExternalAccount = {
  /** For HMAC-SHA256 */
  readonly key: Buffer
  /** Names that its accounts get without a challenge */
  readonly allow: AllowList
}

export type AcmeServerTerms = {
  /** `https://ca.internal:9443`, without a final slash; what clients sign */
  readonly baseUrl: string
  readonly authority: Authority
  readonly storage: Storage
  readonly log: Log
  readonly lifetimeMs: number
  /** The longest that an order may ask for */
  readonly longestMs: number
  /** Empty: only names of external accounts are given */
  readonly challenges: readonly ChallengeKind[]
  /** Beyond what the authority itself may give; null: no further limit */
  readonly allow: AllowList | null
  /** Not empty: every account needs one */
  readonly externalAccounts: ReadonlyMap<string, ExternalAccount>
  readonly validate: Validate
  /** Milliseconds since 1970 */
  readonly now: () => number
}

export type Shared = AcmeServerTerms & {
  readonly records: AcmeRecords
  readonly nonces: Nonces
  readonly limits: Limits
  /** Runs what concerns one account, one after the other */
  readonly inTurn: <T>(account: string, action: () => Promise<T>) => Promise<T>
}

/** Profiles (draft-ietf-acme-profiles), as the directory describes them. */
export const profiles: Readonly<
  Record<string, { readonly about: string; readonly use: readonly CertificateUse[] }>
> = {
  tlsserver: { about: 'for servers; what is issued without a profile', use: ['server'] },
  tlsclient: { about: 'for the client side of mutual TLS', use: ['client'] },
  tlsmutual: { about: 'for servers that are clients of others as well', use: ['server', 'client'] },
}

export type Answer = {
  readonly status: number
  readonly fields: Readonly<Record<string, string>>
  readonly body: string
}

export const jsonAnswer = (
  status: number,
  value: unknown,
  fields: Readonly<Record<string, string>> = {},
): Answer => ({
  status,
  fields: { 'content-type': 'application/json', ...fields },
  body: JSON.stringify(value),
})

export const timeOf = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
