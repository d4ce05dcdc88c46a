/** The provider of dns-01 records, from rows to config.ts: each provider has its own keys, and no others. */
import type { AcmeDnsConfig, DnsProviderConfig } from './config.ts'
import type { Raw, Read } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOfKey } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import { dnsShape } from './schema/acme-dns.ts'

const keysOf = {
  rfc2136: { needs: ['server'], may: ['zone', 'tsig'] },
  webhook: { needs: ['url'], may: ['token', 'secret', 'ca'] },
  'acme-dns': { needs: ['url', 'username', 'password', 'subdomain'], may: ['ca'] },
  program: { needs: ['program'], may: [] },
} as const satisfies Record<string, { needs: readonly string[]; may: readonly string[] }>

const common = ['provider', 'timeout', 'resolvers', 'propagation']

export function validateDns(raw: Raw<typeof dnsShape>, node: Node, problems: Problems): AcmeDnsConfig | undefined {
  if (raw.provider === undefined || node.kind !== 'map') return undefined
  const { needs, may } = keysOf[raw.provider]
  const known: readonly string[] = [...common, ...needs, ...may]
  let isWhole = true
  for (const key of needs) {
    if (childOf(node, key)) continue
    isWhole = false
    problems.error(node.at, `the provider ${raw.provider} needs ${key}`)
  }
  for (const key of node.entries.keys()) {
    const owners = Object.entries(keysOf).filter(([, keys]) => [...keys.needs, ...keys.may].includes(key as never))
    if (known.includes(key) || owners.length === 0) continue
    isWhole = false
    const whose = owners.map(([name]) => name).join(' and ')
    problems.error(
      placeOfKey(node, key),
      `${key} is for ${whose}, and the provider is ${raw.provider}`,
      `remove ${key}`,
    )
  }
  const read = whole(dnsShape, raw)
  const provider = read && isWhole ? providerOf(read) : undefined
  return read && provider && { provider, resolvers: read.resolvers, propagation: read.propagation }
}

/** What a provider needs is there: `keysOf` has been checked. */
function providerOf({ provider, timeoutMs, ...rows }: Read<typeof dnsShape>): DnsProviderConfig | undefined {
  const { server, zone, tsig, url, token, secret, caFile, username, password, subdomain, programFile } = rows
  switch (provider) {
    case 'rfc2136':
      return server ? { kind: provider, timeoutMs, server, zone, tsig } : undefined
    case 'webhook':
      return url ? { kind: provider, timeoutMs, url, token, secret, caFile } : undefined
    case 'acme-dns':
      if (!url || !username || !password || !subdomain) return undefined
      return { kind: provider, timeoutMs, url, username, password, subdomain, caFile }
    case 'program':
      return programFile ? { kind: provider, timeoutMs, file: programFile } : undefined
  }
}
