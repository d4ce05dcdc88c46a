/**
 * TLS toward an endpoint, from files that may be replaced: the CAs that verify its certificate, and
 * the client certificate. Each change creates new terms, so that no session of the old
 * identity is resumed; open connections are not affected.
 */
import type { WatchedCas } from '../certs/files/watched-cas.ts'
import type { WatchedPair } from '../certs/files/watched-pair.ts'
import { backendJudge } from '../certs/x509/backend-judge.ts'
import type { FindPath } from '../certs/x509/client-path.ts'
import type { UpstreamConfig, UpstreamTlsConfig } from '../config/config.ts'
import type { ClientTls } from '../model/tls-terms.ts'
import type { CertificateWatch, Watched } from './certificates/certificate-watch.ts'
import { lazyPathsTo } from './certificates/runtime-paths.ts'

export class UpstreamTls {
  private readonly config: UpstreamTlsConfig
  private readonly host: string
  private readonly alpn: readonly string[]
  private readonly cas: WatchedCas | null
  /** Builds paths to the CAs that the runtime trusts; shared by all endpoints */
  private readonly runtimeRoots: () => FindPath
  private readonly pair: WatchedPair | null
  /** The content that the current terms were created from */
  private made: readonly unknown[]

  /** Reads the files. Throws UsageError if they cannot be used. */
  constructor(
    config: UpstreamTlsConfig,
    http: UpstreamConfig['http'],
    host: string,
    watch: CertificateWatch,
    runtimeRoots: () => FindPath,
  ) {
    this.runtimeRoots = runtimeRoots
    this.config = config
    this.host = host
    this.alpn = http === 1 ? ['http/1.1'] : http === 2 ? ['h2'] : ['h2', 'http/1.1']
    this.cas = config.caFile === null ? null : watch.cas(config.caFile)
    this.pair = config.certificate === null ? null : watch.pair(config.certificate, true, 'client')
    this.made = this.parts()
  }

  /** The part of CertificateWatch that is used */
  get watched(): readonly Watched[] {
    return [this.cas, this.pair].filter(each => each !== null)
  }

  /** Whether the files have changed since the terms were created; their new content is used from now on. */
  changed(): boolean {
    const parts = this.parts()
    if (parts.every((part, index) => part === this.made[index])) return false
    this.made = parts
    return true
  }

  terms(): ClientTls {
    return this.termsFor(this.alpn)
  }

  /** With HTTP/1.1 alone, for upgrades */
  http1Terms(): ClientTls {
    return this.termsFor(['http/1.1'])
  }

  private parts(): readonly unknown[] {
    return [this.cas?.current, this.pair?.load().bundle]
  }

  /** To the CAs that are trusted now; they are read when the first backend has presented its certificates. */
  private findPath(): () => FindPath {
    const pem = this.cas?.current.pem ?? null
    return pem === null ? this.runtimeRoots : lazyPathsTo(pem, 'tls.ca')
  }

  private termsFor(alpn: readonly string[]): ClientTls {
    const { serverName, spiffe, verify, weak, commonName } = this.config
    const checkName = spiffe.length === 0 || serverName !== null
    const name = serverName ?? this.host
    const bundle = this.pair?.load().bundle ?? null
    return {
      caPem: this.cas?.current.pem ?? null,
      chainPem: bundle?.chainPem ?? null,
      keyPem: bundle?.keyPem ?? null,
      serverName: name,
      checkName,
      judge: verify
        ? backendJudge({
            findPath: weak === 'allow' ? null : this.findPath(),
            name: checkName && commonName === 'refuse' ? name : null,
            spiffe,
          })
        : null,
      verify,
      alpn,
      session: null,
      native: null,
    }
  }
}
