/** The CAs of a configuration as one issuer, composed of accounts, solvers and trust. */
import type { AccountStore } from '../../acme/account.ts'
import { acmeDnsProvider } from '../../acme/dns/acme-dns.ts'
import { programProvider } from '../../acme/dns/program.ts'
import type { DnsProvider } from '../../acme/dns/provider.ts'
import { rfc2136Provider } from '../../acme/dns/rfc2136.ts'
import { dnsSolver } from '../../acme/dns/solve-dns.ts'
import { webhookProvider } from '../../acme/dns/webhook.ts'
import { type HttpClient, httpClient } from '../../acme/http.ts'
import { type AcmeIssuer, acmeIssuer } from '../../acme/issue.ts'
import { type Issuers, withFallback } from '../../acme/issuers.ts'
import { type Answers, answerSolver } from '../../acme/solve-answers.ts'
import type { AcmeConfig, AcmeIssuerConfig, DnsProviderConfig } from '../../config/config.ts'
import type { Solver } from '../../model/challenge.ts'
import { serverTrust } from './server-trust.ts'

type AcmeParts = {
  /** The storage of the account at a directory, staging ones included */
  readonly account: (directory: string, email: string | null) => AccountStore
  readonly answers: Answers
  readonly info: (message: string) => void
  readonly warn: (message: string) => void
}

type ConfiguredAcme = {
  readonly issuers: Issuers
  /** In the order of the configuration, without staging ones: for key rollover and deactivation */
  readonly accounts: readonly AcmeIssuer[]
  /** Closes idle connections */
  close(): void
}

export function acmeIssuers(config: AcmeConfig, { account, answers, info, warn }: AcmeParts): ConfiguredAcme {
  const clients: HttpClient[] = []
  const client = (caFile: string | null, timeoutMs?: number) => {
    const made = httpClient({ ...serverTrust(caFile, 'beside'), timeoutMs })
    clients.push(made)
    return made
  }
  const solvers = config.challenges.map((kind): Solver => {
    if (kind !== 'dns-01') return answerSolver(kind, answers, warn)
    const { provider, resolvers, propagation } = config.dns as NonNullable<AcmeConfig['dns']>
    return dnsSolver({ provider: providerOf(provider, client), resolvers, propagation, warn })
  })
  const issuerOf = (one: AcmeIssuerConfig, directory: string, http: HttpClient) =>
    acmeIssuer({
      directory,
      http,
      account: { store: account(directory, one.email), email: one.email, externalAccount: one.externalAccount },
      solvers,
      profile: one.profile,
      preferredChain: one.preferredChain,
    })
  const accounts: AcmeIssuer[] = []
  const entries = config.issuers.map(one => {
    const http = client(one.caFile)
    const issuer = issuerOf(one, one.directory, http)
    accounts.push(issuer)
    return { issuer, staging: one.staging === null ? null : issuerOf(one, one.staging, http) }
  })
  return {
    issuers: withFallback(entries, info),
    accounts,
    close: () => {
      for (const each of clients) each.close()
    },
  }
}

function providerOf(
  provider: DnsProviderConfig,
  client: (caFile: string | null, timeoutMs: number) => HttpClient,
): DnsProvider {
  switch (provider.kind) {
    case 'rfc2136':
      return rfc2136Provider(provider)
    case 'webhook':
      return webhookProvider(client(provider.caFile, provider.timeoutMs), provider)
    case 'acme-dns':
      return acmeDnsProvider(client(provider.caFile, provider.timeoutMs), provider)
    case 'program':
      return programProvider(provider)
  }
}
