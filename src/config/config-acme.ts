/** The `acme` section as the rest of the gateway sees it; the rules of config.ts hold. */
import type { ChallengeKind } from '../model/challenge.ts'

export type AcmeConfig = {
  /** In the order in which they are asked; never empty */
  readonly issuers: readonly AcmeIssuerConfig[]
  /** Best first; never empty */
  readonly challenges: readonly ChallengeKind[]
  /** Not null where challenges has dns-01 */
  readonly dns: AcmeDnsConfig | null
  readonly keys: readonly ('ecdsa' | 'rsa')[]
  /** Null: as the CA says, else with a third of the lifetime left */
  readonly renewBeforeMs: number | null
  readonly onDemand: OnDemandConfig | null
}

export type AcmeIssuerConfig = {
  readonly directory: string
  readonly email: string | null
  /** PEM, trusted for its TLS beside the public CAs */
  readonly caFile: string | null
  readonly externalAccount: { readonly keyId: string; readonly key: string } | null
  readonly profile: string | null
  readonly preferredChain: string | null
  /** Tried first after a failed challenge */
  readonly staging: string | null
}

export type AcmeDnsConfig = {
  readonly provider: DnsProviderConfig
  /** Empty: the system's, then the zone's own name servers */
  readonly resolvers: readonly { readonly host: string; readonly port: number }[]
  readonly propagation: {
    /** 0: the record is not looked for */
    readonly timeoutMs: number
    readonly waitMs: number
  }
}

export type DnsProviderConfig = { readonly timeoutMs: number } & (
  | {
      readonly kind: 'rfc2136'
      readonly server: { readonly host: string; readonly port: number }
      /** Null: found by asking */
      readonly zone: string | null
      readonly tsig: {
        readonly name: string
        readonly algorithm: 'hmac-sha256' | 'hmac-sha512'
        /** base64 */
        readonly secret: string
      } | null
    }
  | {
      readonly kind: 'webhook'
      readonly url: string
      readonly token: string | null
      readonly secret: string | null
      readonly caFile: string | null
    }
  | {
      readonly kind: 'acme-dns'
      readonly url: string
      readonly username: string
      readonly password: string
      readonly subdomain: string
      readonly caFile: string | null
    }
  | { readonly kind: 'program'; readonly file: string }
)

export type OnDemandConfig = {
  /** Asked with `?domain=NAME`; null: only `allow` counts */
  readonly ask: string | null
  /** Names, and `*.` with a name */
  readonly allow: readonly string[]
  readonly perMinute: number
  readonly burst: number
  readonly maxPending: number
}
