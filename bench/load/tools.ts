/** What must be installed, and what of it is: load generators and backend are needed, a missing peer is left out. */
import { existsSync } from 'node:fs'
import { streamModule } from './configs/nginx.ts'

type Installer = {
  ensurePeers(wanted: Record<string, readonly string[]>): string[]
}

const needed = {
  wrk: ['wrk'],
  h2load: ['nghttp2-client'],
  nginx: ['nginx', 'libnginx-mod-stream'],
  openssl: ['openssl'],
  taskset: ['util-linux'],
}
const optional = { haproxy: ['haproxy'], caddy: ['caddy'] }

/** Installs what is missing where it may; throws for what the benchmark cannot do without. */
export async function ensureTools(): Promise<void> {
  // Plain JavaScript without types, shared with the test runner.
  const { ensurePeers }: Installer = await import(new URL('../../scripts/peers.mjs', import.meta.url).href)
  // A package without a command of its own: asked for by a name that is never found, so that it is installed.
  const stream: Record<string, readonly string[]> = existsSync(streamModule)
    ? {}
    : { 'nginx-stream-module': ['libnginx-mod-stream'] }
  const missing = ensurePeers({ ...needed, ...optional, ...stream })
  for (const command of Object.keys(optional)) {
    if (missing.includes(command)) console.error(`${command} is not installed: going on without it`)
  }
  const lacking = Object.keys(needed).filter(command => missing.includes(command))
  if (lacking.length > 0) {
    const packages = lacking.flatMap(command => needed[command as keyof typeof needed])
    throw new Error(`missing: ${lacking.join(', ')} (Debian packages: ${packages.join(' ')})`)
  }
}
