/**
 * The configuration as the rest of the gateway sees it: validated, defaulted and resolved. Nothing here is optional.
 *
 * Invariants: times are milliseconds (`Ms`; 0 means "no such deadline") and fit a timer; sizes are bytes (`Bytes`;
 * Infinity means "no limit"); file names are absolute; host names are lower-case punycode without a trailing dot; a
 * named upstream is one object, shared by every route that names it. What a user writes is in define-config.ts. Types
 * that say the same as the rows of a shape are inferred from it.
 */

import type { BalanceName } from '../balance/all.ts'
import type { LocationTemplate } from '../features/location.ts'
import type { ChallengeKind } from '../model/challenge.ts'
import type { ClientMatch, ForwardedForm } from '../model/client-identity.ts'
import type { Filter } from '../model/filter.ts'
import type { Policy } from '../model/policies.ts'
import type { RouteMatch, RouteTimeouts } from '../model/route.ts'
import type { AcmeConfig } from './config-acme.ts'
import type { Read } from './engine/infer.ts'
import type { adminShape } from './schema/admin.ts'
import type { alertsShape } from './schema/alerts.ts'
import type { keyPairShape } from './schema/certificate.ts'
import type { limitsShape, timeoutsShape } from './schema/limits.ts'
import type { ticketsShape } from './schema/tickets.ts'
import type { upstreamTlsShape } from './schema/upstream.ts'
import type { logShape } from './schema.ts'
import type { StageConfig } from './stages.ts'

export type Config = {
  /** Absolute path of the file, null for a configuration given in code */
  readonly file: string | null
  readonly listen: readonly ListenConfig[]
  readonly sites: readonly SiteConfig[]
  /** Every upstream once: the named ones (used or not), then those written inside routes and sites, in file order */
  readonly upstreams: readonly UpstreamConfig[]
  /** The named ones and those of the file, by name */
  readonly policies: Readonly<Record<string, Policy>>
  readonly tickets: TicketsConfig
  readonly log: LogConfig
  /** Null: nobody is told of certificates that near their end, except by the log */
  readonly alerts: AlertsConfig | null
  /** Null: no metrics, no probes */
  readonly admin: AdminConfig | null
  /** Absolute path of the folder for the local CA and whatever else must outlive the process */
  readonly state: string
  /** Null: no site has its certificate from an ACME CA */
  readonly acme: AcmeConfig | null
  readonly storage: StorageConfig
  /** Null: no internal CA */
  readonly ca: CaConfig | null
  /** Not null where a site has `certificate: vault` */
  readonly vault: VaultConfig | null
  readonly limits: LimitsConfig
  /** `limits.connections` is written: the operator counts on as many, which the default does not mean */
  readonly countsOnConnections: boolean
  readonly timeouts: TimeoutsConfig
  /** Filters of every route; RouteConfig.filters already begins with them */
  readonly filters: readonly Filter[]
  readonly workers: number | 'auto'
}

export type StorageConfig = {
  /** Null: files in the state folder */
  readonly redis: RedisConfig | null
  /** Null: values are stored as they are */
  readonly seal: SealConfig | null
}

export type RedisConfig = {
  /** A name or an IP address without brackets */
  readonly host: string
  readonly port: number
  readonly database: number
  readonly tls: boolean
  readonly username: string | null
  readonly password: string | null
  readonly prefix: string
  /** PEM; null: the CAs that the runtime trusts */
  readonly caFile: string | null
  readonly certificate: KeyPairFiles | null
  /** How long a lock outlives its holder */
  readonly leaseMs: number
}

export type SealConfig = { readonly secret: SecretConfig; readonly previous: readonly SecretConfig[] }

export type SecretConfig = { readonly passphrase: string } | { readonly keyFile: string }

export type CaConfig = {
  /** An intermediate of the operator's own; null: that of the state folder */
  readonly own: KeyPairFiles | null
  readonly lifetimeMs: number
  readonly maxLifetimeMs: number
  /** Names, `*.` names (all below) and address ranges; empty: all that the CA may give */
  readonly allow: readonly string[]
  readonly acme: AcmeServerConfig | null
}

export type AcmeServerConfig = {
  readonly listen: { readonly port: number; readonly address: string }
  readonly host: string
  readonly challenges: readonly ChallengeKind[]
  /** By key identifier */
  readonly externalAccounts: ReadonlyMap<string, { readonly key: Buffer; readonly allow: readonly string[] }>
  readonly http01Port: number
  readonly tlsAlpn01Port: number
  /** Null: everywhere but to the addresses that validate.ts of acme-server names */
  readonly networks: readonly string[] | null
  readonly resolve: ReadonlyMap<string, string>
  /** Empty: those of the system */
  readonly resolvers: readonly string[]
}

export type VaultConfig = {
  /** Without a path */
  readonly address: string
  readonly mount: string
  readonly role: string
  /** Null: what the role says */
  readonly ttlMs: number | null
  readonly namespace: string | null
  readonly caFile: string | null
  readonly auth: VaultAuthConfig
}

export type VaultAuthConfig =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'tokenFile'; readonly file: string }
  | {
      readonly kind: 'approle'
      readonly mount: string
      readonly roleId: string
      readonly secret: { readonly value: string } | { readonly file: string } | null
    }
  | { readonly kind: 'kubernetes'; readonly mount: string; readonly role: string; readonly jwtFile: string }

export type ListenConfig = {
  /** IP address; "::" takes IPv4 too */
  readonly address: string
  /** 0 lets the system choose */
  readonly port: number
  /** A PROXY header is required from these peers and read from no other */
  readonly proxyProtocol: { readonly from: readonly string[] } | null
  /** Names in lower case that clients may send although they are dropped otherwise */
  readonly allowFields: readonly string[]
  /** null: a TLS listener */
  readonly cleartext: 'redirect' | 'serve' | null
}

export type SiteConfig = {
  /** The first host as in `hosts`: for logs and metrics */
  readonly name: string
  /** `shop.example.com`, `*.example.com`, `192.0.2.1` or `[2001:db8::1]`; unique across sites */
  readonly hosts: readonly string[]
  /** Serves clients without SNI or with a name no site has; at most one site */
  readonly default: boolean
  /** null for passthrough, and for sites reached through cleartext listeners only */
  readonly certificate: CertificateConfig | null
  /** A key of Config.policies */
  readonly policy: string
  /** OCSP responses are sent with the certificate */
  readonly staple: boolean
  /** Null: no client certificate is asked for */
  readonly clients: ClientsConfig | null
  readonly ja4: { readonly forward: boolean; readonly block: readonly string[] }
  /** Those of its routes stand with them; these hold for what no route takes */
  readonly stages: readonly StageConfig[]
  readonly action: SiteAction
}

export type SiteAction =
  | { readonly kind: 'http'; readonly routes: readonly RouteConfig[] }
  /** Layer 4, never decrypted; the upstream's scheme is `tcp` */
  | { readonly kind: 'passthrough'; readonly upstream: UpstreamConfig }
  /** TLS in, raw TCP out; the upstream's scheme is `tcp` */
  | { readonly kind: 'tcp'; readonly upstream: UpstreamConfig }

export type ClientsConfig = {
  readonly mode: 'optional' | 'require'
  /** PEM files, at least one */
  readonly ca: readonly string[]
  readonly crl: readonly string[]
  readonly forward: readonly ForwardedForm[]
  /** Any of these; empty: every client that verifies */
  readonly allow: readonly ClientMatch[]
  /** Whether certificates with short keys or broken signatures are taken */
  readonly weak: 'refuse' | 'allow'
}

export type CertificateConfig =
  | { readonly kind: 'files'; readonly pairs: readonly KeyPairFiles[] }
  /** Absolute path of a folder of certificates with their keys */
  | { readonly kind: 'directory'; readonly folder: string }
  | { readonly kind: 'local' }
  | { readonly kind: 'acme' }
  /** From Config.vault */
  | { readonly kind: 'vault' }

export type KeyPairFiles = Read<typeof keyPairShape>

export type RouteConfig = {
  /** For logs, metrics and explain: `shop.example.com/api/*`, with `#2` appended where that is not unique */
  readonly name: string
  /** Where it is written: `sites[0].routes[1]`, or `sites[0]` for a site with `to` */
  readonly at: string
  readonly match: RouteMatch
  readonly action: RouteAction
  readonly timeouts: RouteTimeouts
  /** Infinity: no limit */
  readonly bodyBytes: number
  /** Least bytes a second of a request body once timeouts.bodyGraceMs has passed; 0: none */
  readonly bodyRateBytes: number
  /** The configuration's filters, then the route's own */
  readonly filters: readonly Filter[]
  /** Only for clients that have shown a certificate */
  readonly requireClient: boolean
  /** Of its own and of the levels around it, in the order in which they run */
  readonly stages: readonly StageConfig[]
}

export type RouteAction =
  | { readonly kind: 'upstream'; readonly upstream: UpstreamConfig }
  | {
      readonly kind: 'redirect'
      readonly to: LocationTemplate
      readonly status: 301 | 302 | 303 | 307 | 308
    }
  | {
      readonly kind: 'respond'
      readonly status: number
      readonly body: string
      /** Names in lower case; has a content-type whenever there is a body */
      readonly headers: readonly (readonly [name: string, value: string])[]
    }

export type UpstreamConfig = {
  /** The key under `upstreams`, or where it is written (`sites[0].routes[1].to`): unique, and stable across reloads */
  readonly name: string
  /** All endpoints share it; `tcp` for passthrough and tcp sites */
  readonly scheme: 'http' | 'https' | 'tcp'
  /** Never empty */
  readonly endpoints: readonly EndpointConfig[]
  readonly balance: BalanceName
  /** Not null if and only if the scheme is https */
  readonly tls: UpstreamTlsConfig | null
  readonly pool: { readonly idle: number }
  /** What is spoken to the endpoints; `auto`: HTTP/2 where ALPN offers it, else HTTP/1.1 */
  readonly http: 'auto' | 1 | 2
  /** The Host header for the backend: what the client sent, or the endpoint's own name */
  readonly host: 'preserve' | 'endpoint'
  /** PROXY header sent to the backend; `tcp` only */
  readonly proxyProtocol: 'v1' | 'v2' | null
}

/** `host` is a name or an IP address without brackets. */
export type EndpointConfig = { readonly host: string; readonly port: number }

export type UpstreamTlsConfig = Read<typeof upstreamTlsShape>

/** Keys of TLS session tickets: a new one every `rotateMs`, and tickets of the last `keep` are taken */
export type TicketsConfig = Read<typeof ticketsShape>

export type AlertsConfig = Read<typeof alertsShape>

export type AdminConfig = Read<typeof adminShape>

type LogConfig = Read<typeof logShape>

export type LimitsConfig = Read<typeof limitsShape>

export type TimeoutsConfig = Read<typeof timeoutsShape>
