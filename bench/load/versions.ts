/** The versions of what is compared, as each prints its own. */
import { execFileSync } from 'node:child_process'
import type { PeerOptions } from './peers.ts'
import { type PeerName, peerNames } from './setup.ts'

type Commands = Omit<PeerOptions, 'versions'>

const questions = ({ sallyportCommand, baseCommand, node, nginx, haproxy, caddy }: Commands) => ({
  sallyport: [...sallyportCommand, '--version'],
  node: node === null ? ['false'] : [node, '--version'],
  plain: [...sallyportCommand, '--version'],
  two: [...sallyportCommand, '--version'],
  base: baseCommand.length === 0 ? ['false'] : [...baseCommand, '--version'],
  bare: [process.execPath, '--version'],
  'bare-node': node === null ? ['false'] : [node, '--version'],
  // nginx says its version on standard error.
  nginx: ['sh', '-c', '"$@" 2>&1', 'sh', nginx, '-V'],
  haproxy: [haproxy, '-vv'],
  caddy: [caddy, 'version'],
})

/** The number, and the TLS library where it is said; null if the command cannot be run. */
function versionOf([command, ...args]: readonly string[]): string | null {
  try {
    const text = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const [number] = /\d+\.\d+[\w.~+-]*/.exec(text) ?? []
    const library =
      /running with (OpenSSL [\w.]+)/.exec(text)?.[1] ?? /(OpenSSL [\d.]+|AWS-LC [\d.]+)/.exec(text)?.[1]
    return number === undefined ? null : library === undefined ? number : `${number} (${library})`
  } catch {
    return null
  }
}

export function versionsOf(commands: Commands): Partial<Record<PeerName, string>> {
  const versions: Partial<Record<PeerName, string>> = {}
  const asked = questions(commands)
  for (const name of peerNames) {
    const version = versionOf(asked[name])
    if (version !== null) versions[name] = version
  }
  return versions
}
