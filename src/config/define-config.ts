/**
 * What a user writes, typed, for `sallyport.config.ts` and for the library. Meaning, units and defaults of every key are
 * in docs/config.md; the schema rows are checked against these types by the compiler.
 */
import type { ChallengeKind } from '../model/challenge.ts'
import type { ForwardedForm } from '../model/client-identity.ts'
import type { Filter, RequestFilter } from '../model/filter.ts'
import type { TlsVersion } from '../model/tls-terms.ts'

/** `250ms`, `30s`, `5m`, `12h`, `1d` */
export type DurationInput = `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`
/** `512b`, `16kb`, `1mb`, `2gb`, or bytes */
export type SizeInput = `${number}${'b' | 'kb' | 'mb' | 'gb' | 'tb'}` | number

export type ConfigInput = {
  listen: readonly ListenInput[]
  sites: readonly SiteInput[]
  upstreams?: Readonly<Record<string, UpstreamInput>>
  policy?: string
  policies?: Readonly<Record<string, PolicyInput>>
  tickets?: TicketsInput
  log?: LogInput
  alerts?: AlertsInput
  admin?: AdminInput
  state?: string
  acme?: AcmeInput
  storage?: StorageInput
  ca?: CaInput
  vault?: VaultInput
  limits?: LimitsInput
  timeouts?: TimeoutsInput
  filters?: readonly FilterInput[]
  workers?: number | 'auto'
}

/** A filter, or only its request phase as a function. A function has a name too: without `apply` each would be a Filter. */
export type FilterInput = (Filter & { readonly apply?: never }) | RequestFilter

export type ListenInput = {
  port: number
  address?: string
  proxyProtocol?: ProxyProtocolInput
  cleartext?: 'redirect' | 'serve'
}

export type ProxyProtocolInput = { from: string | readonly string[] }

/** Exactly one of `to`, `routes`, `passthrough` and `tcp`. */
export type SiteInput = {
  host: string | readonly string[]
  default?: boolean
  certificate?: 'acme' | 'local' | 'vault' | KeyPairInput | readonly KeyPairInput[] | CertificateFolderInput
  policy?: string
  ocsp?: 'off' | 'staple'
  clients?: ClientsInput
  ja4?: Ja4Input
  hsts?: HstsInput
  to?: TargetInput
  routes?: readonly RouteInput[]
  passthrough?: Layer4Input
  tcp?: Layer4Input
}

/** A TLS policy of one's own: another one with single fields changed. */
export type PolicyInput = {
  extends: string
  minVersion?: TlsVersion
  maxVersion?: TlsVersion
  ciphers?: readonly string[]
  groups?: readonly string[]
  order?: 'client' | 'server'
}

export type TicketsInput = { rotate?: DurationInput; keep?: number }

export type ClientsInput = {
  ca: string | readonly string[]
  verify?: 'off' | 'optional' | 'require'
  crl?: string | readonly string[]
  forward?: readonly ForwardedForm[]
  allow?: readonly ClientMatchInput[]
}

/** All that is written must hold. */
export type ClientMatchInput = { san?: string; dn?: string; spiffe?: string; issuer?: string }

/** RFC 6797; `maxAge` in seconds */
export type HstsInput = { maxAge: number; subdomains?: boolean; preload?: boolean }

export type Ja4Input = { forward?: boolean; block?: readonly string[] }

export type KeyPairInput = { chain: string; key: string }

export type AdminInput = { listen: AdminListenInput; token?: string }

export type AdminListenInput = { port: number; address?: string }

/** The internal CA; `chain` and `key` for an intermediate of one's own. */
export type CaInput = {
  chain?: string
  key?: string
  lifetime?: DurationInput
  maxLifetime?: DurationInput
  allow?: string | readonly string[]
  acme?: AcmeServerInput
}

export type AcmeServerInput = {
  listen: AcmeServerListenInput
  host: string
  challenges?: ChallengeKind | readonly ChallengeKind[]
  externalAccounts?: Readonly<Record<string, ExternalAccountKeyInput>>
  http01Port?: number
  tlsAlpn01Port?: number
  networks?: string | readonly string[]
  resolve?: Readonly<Record<string, string>>
  resolvers?: string | readonly string[]
}

export type AcmeServerListenInput = { port: number; address?: string }

export type ExternalAccountKeyInput = { key: string; allow?: string | readonly string[] }

export type VaultInput = {
  address: string
  mount?: string
  role: string
  ttl?: DurationInput
  namespace?: string
  ca?: string
  auth: VaultAuthInput
}

/** Exactly one. */
export type VaultAuthInput = {
  token?: string
  tokenFile?: string
  approle?: VaultAppRoleInput
  kubernetes?: VaultKubernetesInput
}

export type VaultAppRoleInput = { roleId: string; secretId?: string; secretIdFile?: string; mount?: string }

export type VaultKubernetesInput = { role: string; jwtFile?: string; mount?: string }

/** A folder of certificates with their keys, in the forms of docs/certificates.md */
export type CertificateFolderInput = { directory: string }

export type Layer4Input = {
  /** `host:port` */
  to: string | readonly string[]
  balance?: 'round-robin' | 'least-requests'
  proxyProtocol?: 'v1' | 'v2'
}

/** A URL, several, the name of an upstream, or an upstream in place. */
export type TargetInput = string | readonly string[] | UpstreamInput

/** Exactly one of `to`, `redirect` and `respond`. */
export type RouteInput = {
  match?: MatchInput
  to?: TargetInput
  redirect?: RedirectInput
  respond?: RespondInput
  clients?: 'require'
  timeouts?: RouteTimeoutsInput
  limits?: RouteLimitsInput
  filters?: readonly FilterInput[]
}

export type MatchInput = {
  path?: string | readonly string[]
  method?: string | readonly string[]
  header?: Readonly<Record<string, string>>
  query?: Readonly<Record<string, string>>
  client?: readonly ClientMatchInput[]
  ja4?: string | readonly string[]
}

export type RedirectInput = { to: string; status?: 301 | 302 | 303 | 307 | 308 }

export type RespondInput = { status?: number; body?: string; headers?: Readonly<Record<string, string>> }

export type UpstreamInput = {
  endpoints: string | readonly string[]
  balance?: 'round-robin' | 'least-requests'
  tls?: UpstreamTlsInput
  pool?: PoolInput
  host?: 'preserve' | 'endpoint'
  http?: 'auto' | 1 | 2
}

export type UpstreamTlsInput = {
  ca?: string
  serverName?: string
  spiffe?: readonly string[]
  certificate?: KeyPairInput
  verify?: boolean
}

export type PoolInput = { idle?: number }

export type StorageInput = {
  redis?: string
  ca?: string
  certificate?: KeyPairInput
  prefix?: string
  username?: string
  password?: string
  lease?: DurationInput
  seal?: SealInput
}

/** Exactly one of the two. */
export type SecretInput = { passphrase?: string; keyFile?: string }

export type SealInput = SecretInput & { previous?: SecretInput | readonly SecretInput[] }

export type AlertsInput = {
  url: string
  days?: readonly number[]
  headers?: Readonly<Record<string, string>>
  token?: string
  ca?: string
}

export type LogInput = { access?: boolean; format?: 'json' | 'text'; level?: 'debug' | 'info' | 'warn' | 'error' }

export type AcmeInput = {
  email?: string
  directory?: string
  ca?: string
  challenges?: readonly ChallengeKind[]
  dns?: AcmeDnsInput
  profile?: string
  keys?: readonly ('ecdsa' | 'rsa')[]
  externalAccount?: ExternalAccountInput
  fallback?: readonly AcmeFallbackInput[]
  /** A URL, or `none` */
  staging?: string
  preferredChain?: string
  renewBefore?: DurationInput
  onDemand?: OnDemandInput
}

export type ExternalAccountInput = { keyId: string; key: string }

export type AcmeFallbackInput = {
  directory: string
  email?: string
  ca?: string
  externalAccount?: ExternalAccountInput
  profile?: string
}

export type OnDemandInput = {
  ask?: string
  allow?: string | readonly string[]
  perMinute?: number
  burst?: number
  maxPending?: number
}

/** Which keys belong to which provider is in docs/acme.md. */
export type AcmeDnsInput = {
  provider: 'rfc2136' | 'webhook' | 'acme-dns' | 'program'
  server?: string
  zone?: string
  tsig?: TsigInput
  url?: string
  token?: string
  secret?: string
  ca?: string
  username?: string
  password?: string
  subdomain?: string
  program?: string
  timeout?: DurationInput
  resolvers?: string | readonly string[]
  propagation?: PropagationInput
}

export type TsigInput = { name: string; algorithm?: 'hmac-sha256' | 'hmac-sha512'; secret: string }

export type PropagationInput = { timeout?: DurationInput | 'none'; wait?: DurationInput | 'none' }

export type RouteLimitsInput = { body?: SizeInput | 'none' }

export type LimitsInput = RouteLimitsInput & {
  head?: SizeInput
  headers?: number
  uri?: SizeInput
  connections?: number
  connectionsPerClient?: number | 'none'
  bodyRate?: SizeInput | 'none'
  hello?: SizeInput
  streams?: number
}

export type RouteTimeoutsInput = {
  connect?: DurationInput
  response?: DurationInput | 'none'
  bodyIdle?: DurationInput
  idle?: DurationInput | 'none'
  total?: DurationInput | 'none'
}

export type TimeoutsInput = RouteTimeoutsInput & {
  handshake?: DurationInput
  head?: DurationInput
  keepAlive?: DurationInput
  bodyGrace?: DurationInput
  poolIdle?: DurationInput
  drain?: DurationInput
  resolve?: DurationInput
}

/** Gives an editor the types; answers what it was given. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config
}
