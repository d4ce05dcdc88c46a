/** The dns-01 solver of the configuration. */
import { acmeDnsProvider } from '../acme/dns/acme-dns.ts'
import { programProvider } from '../acme/dns/program.ts'
import type { DnsProvider } from '../acme/dns/provider.ts'
import { rfc2136Provider } from '../acme/dns/rfc2136.ts'
import { dnsSolver } from '../acme/dns/solve-dns.ts'
import { webhookProvider } from '../acme/dns/webhook.ts'
import { type HttpClient, httpClient } from '../acme/http.ts'
import { readText } from '../certs/pem.ts'
import type { AcmeDnsConfig, DnsProviderConfig } from '../config/config-acme.ts'
import type { Solver } from '../model/challenge.ts'

/** Throws UsageError where its `ca` cannot be read. */
export function dnsSolverOf(
  { provider, resolvers, propagation }: AcmeDnsConfig,
  warn: (message: string) => void,
): { readonly solver: Solver; close(): void } {
  const http =
    provider.kind === 'webhook' || provider.kind === 'acme-dns'
      ? httpClient({
          ca: provider.caFile === null ? null : readText(provider.caFile),
          timeoutMs: provider.timeoutMs,
        })
      : null
  const solver = dnsSolver({ provider: providerOf(provider, http as HttpClient), resolvers, propagation, warn })
  return { solver, close: () => http?.close() }
}

function providerOf(config: DnsProviderConfig, http: HttpClient): DnsProvider {
  switch (config.kind) {
    case 'rfc2136':
      return rfc2136Provider(config)
    case 'webhook':
      return webhookProvider(http, config)
    case 'acme-dns':
      return acmeDnsProvider(http, config)
    case 'program':
      return programProvider(config)
  }
}
