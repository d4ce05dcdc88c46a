/** The provider of dns-01 records, from rows to config-acme.ts: each provider has its own keys, and no others. */
import type { AcmeDnsConfig, DnsProviderConfig } from './config-acme.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOfKey } from './engine/tree.ts'
import type { dnsShape } from './schema/acme-dns.ts'

type RawDns = Raw<typeof dnsShape>

const keysOf = {
  rfc2136: { needs: ['server'], may: ['zone', 'tsig'] },
  webhook: { needs: ['url'], may: ['token', 'secret', 'ca'] },
  'acme-dns': { needs: ['url', 'username', 'password', 'subdomain'], may: ['ca'] },
  program: { needs: ['program'], may: [] },
} as const satisfies Record<string, { needs: readonly string[]; may: readonly string[] }>

const common = ['provider', 'timeout', 'resolvers', 'propagation']

export function validateDns(raw: RawDns, node: Node, problems: Problems): AcmeDnsConfig | undefined {
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
  const provider = isWhole ? providerOf(raw) : undefined
  const { timeoutMs, waitMs } = raw.propagation ?? {}
  if (!provider || !raw.resolvers || timeoutMs === undefined || waitMs === undefined) return undefined
  return { provider, resolvers: raw.resolvers, propagation: { timeoutMs, waitMs } }
}

function providerOf(raw: RawDns): DnsProviderConfig | undefined {
  const { timeoutMs, server, zone, tsig, url, token, secret, caFile, username, password, subdomain, programFile } =
    raw
  if (timeoutMs === undefined || caFile === undefined) return undefined
  switch (raw.provider) {
    case 'rfc2136': {
      if (!server || zone === undefined || tsig === undefined) return undefined
      if (tsig === null) return { kind: 'rfc2136', timeoutMs, server, zone, tsig }
      const { name, algorithm, secret: key } = tsig
      if (name === undefined || algorithm === undefined || key === undefined) return undefined
      return { kind: 'rfc2136', timeoutMs, server, zone, tsig: { name, algorithm, secret: key } }
    }
    case 'webhook':
      if (!url || token === undefined || secret === undefined) return undefined
      return { kind: 'webhook', timeoutMs, url, token, secret, caFile }
    case 'acme-dns':
      if (!url || !username || !password || !subdomain) return undefined
      return { kind: 'acme-dns', timeoutMs, url, username, password, subdomain, caFile }
    case 'program':
      return programFile ? { kind: 'program', timeoutMs, file: programFile } : undefined
    default:
      return undefined
  }
}
