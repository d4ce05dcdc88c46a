/** The map as plain text, a block for each site and route. */
import type { Hop, Path } from './hops.ts'

export function mapText(paths: readonly Path[]): string {
  if (paths.length === 0) return 'no site is reachable\n'
  return `${paths.map(blockOf).join('\n')}\n${legend(paths)}`
}

function blockOf(path: Path): string {
  const lines = [`${path.site}${path.route}   ${path.pattern.toUpperCase()}`, `  ${path.hops.map(arrow).join('')}`]
  const say = (title: string, text: string) => lines.push(`    ${title.padEnd(11)} ${text}`)
  for (const hop of path.hops) {
    say(`${hop.from} ->`, hop.how)
    for (const text of hop.verified.split('; ')) say('', text)
    if (hop.key !== null) say('', `private key: ${hop.key}`)
  }
  say('plaintext', path.plaintext.length > 0 ? path.plaintext.join('; ') : nowhere(path))
  if (path.inspects.length > 0) say('inspected', path.inspects.join('; '))
  for (const [at, text] of path.missing.entries()) say(at === 0 ? 'missing' : '', text)
  return `${lines.join('\n')}\n`
}

const nowhere = ({ pattern }: Path): string =>
  pattern === 'passthrough' ? 'not in the gateway' : 'nowhere on the way'

function arrow(hop: Hop, at: number): string {
  const line =
    hop.encrypted === null
      ? '==as is=>'
      : hop.encrypted
        ? hop.serverVerified
          ? '==TLS==>'
          : '==TLS?=>'
        : hop.onHost
          ? '--plain->'
          : '--PLAIN->'
  return `${at === 0 ? hop.from : ''} ${line} ${hop.to}`
}

function legend(paths: readonly Path[]): string {
  const hops = paths.flatMap(path => path.hops)
  const open = hops.filter(hop => hop.encrypted === false)
  const off = open.filter(hop => !hop.onHost)
  const encrypted = hops.filter(hop => hop.encrypted === true)
  const unverified = encrypted.filter(hop => !hop.serverVerified)
  return (
    `${hops.length} hops: ${encrypted.length} encrypted, ${unverified.length} of them to a peer that is not verified; ` +
    `${hops.length - encrypted.length - open.length} not decrypted here; ` +
    `${open.length} in the open, ${off.length} of them off this host\n` +
    'Not looked at: name resolution, connections that filters open, and what lies behind the backends.\n'
  )
}
