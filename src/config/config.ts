/**
 * The types of a configuration, all inferred from the schema rows: what a user writes (`ConfigInput` and the other inputs),
 * and what the rest of the gateway reads (`Config`), which is validated, defaulted and resolved. Only what is resolved from
 * several rows is written out here, so a new row needs no line in this file.
 *
 * Invariants: times are milliseconds (`Ms`; 0 means "no such deadline") and fit a timer; sizes are bytes (`Bytes`;
 * Infinity means "no limit"); file names are absolute; host names are lower-case punycode without a trailing dot; a
 * named upstream is one object, shared by every route that names it. Meaning and default of every key are in docs/config.md.
 */
import { withPort } from '../base/ip.ts'
import type { FilesConfig } from '../features/files/options.ts'
import type { ClientMatch } from '../model/client-identity.ts'
import type { Filter } from '../model/filter.ts'
import type { Policy } from '../model/policies.ts'
import type { RouteMatch, RouteTimeouts } from '../model/route.ts'
import type { SpliceTimeouts } from '../model/site.ts'
import type { SyslogTarget } from '../observe/access/syslog-message.ts'
import type { StartTls } from '../wire/start-tls/dialogs.ts'
import type { RedisUrl } from './engine/forms.ts'
import type { Input, Read } from './engine/infer.ts'
import type { acmeShape, fallbackShape } from './schema/acme.ts'
import type { dnsShape } from './schema/acme-dns.ts'
import type { acmeServerShape, caShape } from './schema/ca.ts'
import type { keyPairShape } from './schema/certificate.ts'
import type { clientsShape } from './schema/clients.ts'
import type { listenShape } from './schema/listen.ts'
import type { accessShape } from './schema/log.ts'
import type { redirectShape, respondShape, routeShape } from './schema/route.ts'
import type { siteShape } from './schema/site.ts'
import type { storageShape } from './schema/storage.ts'
import type { upstreamShape } from './schema/upstream.ts'
import type { vaultShape } from './schema/vault.ts'
import type { configShape } from './schema.ts'
import type { StageConfig } from './stages.ts'
import type { TrustConfig } from './validate-trust.ts'

export interface ConfigInput extends Input<typeof configShape> {}
export interface ListenInput extends Input<typeof listenShape> {}
/** Exactly one of `to`, `routes`, `passthrough` and `tcp`. */
export interface SiteInput extends Input<typeof siteShape> {}
/** Exactly one of `to`, `files`, `redirect` and `respond`. */
export interface RouteInput extends Input<typeof routeShape> {}
export interface UpstreamInput extends Input<typeof upstreamShape> {}

/** `A` with the fields of `B` in place of its own. */
type Over<A, B> = Omit<A, keyof B> & B

type Sections = Omit<Read<typeof configShape>, 'defaults' | 'include' | 'snippets' | 'policy' | 'lists' | 'trust'>

export type Config = Over<
  Sections,
  {
    /** Absolute path of the file, null for a configuration given in code */
    readonly file: string | null
    readonly listen: readonly ListenConfig[]
    readonly sites: readonly SiteConfig[]
    /** Every upstream once: the named ones (used or not), then those written inside routes and sites, in file order */
    readonly upstreams: readonly UpstreamConfig[]
    /** The named ones and those of the file, by name */
    readonly policies: Readonly<Record<string, Policy>>
    /** Absolute path of the folder for the local CA and whatever else must outlive the process */
    readonly state: string
    /** Null: no site has its certificate from an ACME CA */
    readonly acme: AcmeConfig | null
    readonly log: LogConfig
    readonly storage: StorageConfig
    readonly ca: CaConfig | null
    readonly vault: VaultConfig | null
    /** Of all sites; these hold for what has no site, or could not be read */
    readonly stages: readonly StageConfig[]
    /** `limits.connections` is written: the operator counts on as many, which the default does not mean */
    readonly countsOnConnections: boolean
  }
>

/** With the trust of the file where it has none of its own, and with the addresses of lists in place of their names. */
export type ListenConfig = Over<
  Sections['listen'][number],
  {
    readonly trust: TrustConfig | null
    /** IP address; of a Unix socket its path */
    readonly address: string
    /** 0: the system chooses; of a Unix socket too */
    readonly port: number
    readonly unix: boolean
  }
>
/** `access: true` is JSON on standard output. */
export type LogConfig = Over<Sections['log'], { readonly access: boolean | AccessLogConfig }>
type AccessLogConfig = Over<Read<typeof accessShape>, { readonly syslog: SyslogTarget | null }>
/** Its connections begin with TLS */
export const beginsWithTls = ({ cleartext, startTls }: Pick<ListenConfig, 'cleartext' | 'startTls'>): boolean =>
  cleartext === null && startTls === null

export type TicketsConfig = Sections['tickets']
export type AlertsConfig = NonNullable<Sections['alerts']>
export type AdminConfig = NonNullable<Sections['admin']>
export type LimitsConfig = Sections['limits']
export type TimeoutsConfig = Sections['timeouts']
export type KeyPairFiles = Read<typeof keyPairShape>

export type StorageConfig = {
  /** Null: files in the state folder */
  readonly redis: RedisConfig | null
  /** Null: values are stored as they are */
  readonly seal: SealConfig | null
}

/** User name and password come from the URL or from rows of their own. */
export type RedisConfig = Over<Omit<Read<typeof storageShape>, 'redis' | 'seal'>, RedisUrl>

export type SealConfig = { readonly secret: SecretConfig; readonly previous: readonly SecretConfig[] }

export type SecretConfig = { readonly passphrase: string } | { readonly keyFile: string }

export type CaConfig = Over<
  Omit<Read<typeof caShape>, 'chainFile' | 'keyFile'>,
  {
    /** An intermediate of the operator's own; null: that of the state folder */
    readonly own: KeyPairFiles | null
    readonly maxLifetimeMs: number
    readonly acme: AcmeServerConfig | null
  }
>

/** `networks` is null where none are written: every address but those that acme-server/validate.ts refuses. */
export type AcmeServerConfig = Over<Read<typeof acmeServerShape>, { readonly networks: readonly string[] | null }>

export type VaultConfig = Over<Read<typeof vaultShape>, { readonly auth: VaultAuthConfig }>

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

type AcmeSection = Read<typeof acmeShape>

export type AcmeConfig = Pick<AcmeSection, 'challenges' | 'keys' | 'renewBeforeMs' | 'onDemand'> & {
  /** In the order in which they are asked; never empty */
  readonly issuers: readonly AcmeIssuerConfig[]
  /** Not null where challenges has dns-01 */
  readonly dns: AcmeDnsConfig | null
}

export type AcmeIssuerConfig = Read<typeof fallbackShape> & Pick<AcmeSection, 'preferredChain' | 'staging'>

type Dns = Read<typeof dnsShape>

export type AcmeDnsConfig = Pick<Dns, 'resolvers' | 'propagation'> & { readonly provider: DnsProviderConfig }

/** Each provider has the rows that are its own; those that it needs are not null. */
export type DnsProviderConfig = Pick<Dns, 'timeoutMs'> &
  (
    | ({ readonly kind: 'rfc2136' } & Needed<'server'> & Pick<Dns, 'zone' | 'tsig'>)
    | ({ readonly kind: 'webhook' } & Needed<'url'> & Pick<Dns, 'token' | 'secret' | 'caFile'>)
    | ({ readonly kind: 'acme-dns' } & Needed<'url' | 'username' | 'password' | 'subdomain'> & Pick<Dns, 'caFile'>)
    | { readonly kind: 'program'; readonly file: string }
  )

type Needed<K extends keyof Dns> = { readonly [N in K]: NonNullable<Dns[N]> }

export type OnDemandConfig = NonNullable<AcmeSection['onDemand']>

type Site = Read<typeof siteShape>

export type SiteConfig = Pick<Site, 'default' | 'ja4' | 'listeners'> & {
  /** The first host as in `hosts`: for logs and metrics */
  readonly name: string
  /** `shop.example.com`, `*.example.com`, `192.0.2.1` or `[2001:db8::1]`; unique across sites */
  readonly hosts: readonly string[]
  /** null for passthrough, and for sites reached through cleartext listeners only */
  readonly certificate: CertificateConfig | null
  /** A key of Config.policies */
  readonly policy: string
  /** OCSP responses are sent with the certificate */
  readonly staple: boolean
  /** Null: no client certificate is asked for */
  readonly clients: ClientsConfig | null
  /** Those of its routes stand with them; these hold for what no route takes */
  readonly stages: readonly StageConfig[]
  readonly action: SiteAction
}

export type SiteAction =
  | { readonly kind: 'http'; readonly routes: readonly RouteConfig[] }
  /** Layer 4, never decrypted; the upstream's scheme is `tcp` */
  | ({ readonly kind: 'passthrough' } & Layer4Config)
  /** TLS in, raw TCP out; the upstream's scheme is `tcp` */
  | ({ readonly kind: 'tcp'; readonly alpn: readonly string[] } & Layer4Config)

type Layer4Config = {
  readonly upstream: UpstreamConfig
  /** Of a passthrough site `postgres` */
  readonly startTls: StartTls | null
  readonly timeouts: SpliceTimeouts
  readonly connectionsPerClient: number
}

type Clients = Read<typeof clientsShape>

export type ClientsConfig = Over<
  Omit<Clients, 'verify'>,
  { readonly mode: Exclude<Clients['verify'], 'off'>; readonly allow: readonly ClientMatch[] }
>

export type CertificateConfig =
  | { readonly kind: 'files'; readonly pairs: readonly KeyPairFiles[] }
  /** Absolute path of a folder of certificates with their keys */
  | { readonly kind: 'directory'; readonly folder: string }
  | { readonly kind: 'local' }
  | { readonly kind: 'acme' }
  /** From Config.vault */
  | { readonly kind: 'vault' }

export type RouteConfig = {
  /** For logs, metrics and explain: `shop.example.com/api/*`, with `#2` appended where that is not unique */
  readonly name: string
  /** Where it is written: `sites[0].routes[1]`, or `sites[0]` for a site with `to` */
  readonly at: string
  readonly match: RouteMatch
  readonly action: RouteAction
  readonly timeouts: RouteTimeouts
  /** The configuration's filters, then the route's own */
  readonly filters: readonly Filter[]
  /** Only for clients that have shown a certificate */
  readonly requireClient: boolean
  /** Of its own and of the levels around it, in the order in which they run */
  readonly stages: readonly StageConfig[]
} & Pick<LimitsConfig, 'bodyRateBytes'>

export type RouteAction =
  | { readonly kind: 'upstream'; readonly upstream: UpstreamConfig }
  | ({ readonly kind: 'files' } & FilesConfig)
  | ({ readonly kind: 'redirect' } & Read<typeof redirectShape>)
  | ({
      readonly kind: 'respond'
      /** Names in lower case; has a content-type whenever there is a body */
      readonly headers: readonly (readonly [name: string, value: string])[]
    } & Omit<Read<typeof respondShape>, 'headers'>)

type Upstream = Read<typeof upstreamShape>

export type UpstreamConfig = Over<
  Upstream,
  {
    /** The key under `upstreams`, or where it is written (`sites[0].routes[1].to`): unique, and stable across reloads */
    readonly name: string
    /** All endpoints share it; `tcp` for passthrough and tcp sites */
    readonly scheme: 'http' | 'https' | 'tcp'
    /** Never empty */
    readonly endpoints: readonly EndpointConfig[]
    /** Not null if and only if the scheme is https */
    readonly tls: UpstreamTlsConfig | null
    /** PROXY header sent to the backend; `tcp` only */
    readonly proxyProtocol: 'v1' | 'v2' | null
  }
>

export type EndpointConfig = {
  /** A name or an IP address without brackets; the path of a Unix socket */
  readonly host: string
  /** 0 for a Unix socket */
  readonly port: number
  readonly unix?: true
  /** Its share among the others; 1 where it is not there */
  readonly weight?: number
  /** Asked only where no other is left */
  readonly backup?: boolean
}

/** As logs, `explain` and `map` show it */
export function endpointLabel({ host, port, unix }: EndpointConfig): string {
  return unix ? `unix:${host}` : withPort(host, port)
}

export type UpstreamTlsConfig = Upstream['tls']
