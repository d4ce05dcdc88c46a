/** What must be installed, and what of it is: load generators and backend are needed, a missing peer is left out. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const scripts = new URL('../../scripts/', import.meta.url)

type Installer = {
  ensurePeers(wanted: Record<string, readonly string[]>): string[]
}
type NewerPeers = {
  ensureBenchPeers(): boolean
  benchPeer(name: string): string | null
  benchPeersFolder(): string | null
}
type RuntimeInstaller = { ensureInstalled(folder: string, options: { dev: boolean }): void }

const needed = {
  wrk: ['wrk'],
  h2load: ['nghttp2-client'],
  // The backend's.
  nginx: ['nginx', 'libnginx-mod-stream'],
  openssl: ['openssl'],
  taskset: ['util-linux'],
}
const reserve = { haproxy: ['haproxy'], caddy: ['caddy'] }

/** What starts each of the other proxies, and the stream module of this nginx, null where it is built in */
export type PeerCommands = {
  readonly nginx: string
  readonly haproxy: string
  readonly caddy: string
  readonly streamModule: string | null
}

/** The system's own module */
const streamModule = 'usr/lib/nginx/modules/ngx_stream_module.so'
const moduleIn = (folder: string) => {
  const file = path.join(folder, streamModule)
  return existsSync(file) ? file : null
}

/**
 * Installs what is missing where it may; throws for what the benchmark cannot do without. `system` takes the machine's
 * own packages as peers; `withPerf` needs perf too.
 */
export async function ensureTools(system: boolean, withPerf: boolean): Promise<PeerCommands> {
  // Plain JavaScript without types, shared with the test runner.
  const { ensurePeers }: Installer = await import(new URL('peers.mjs', scripts).href)
  const newer: NewerPeers = await import(new URL('bench-peers.mjs', scripts).href)
  const folder = !system && newer.ensureBenchPeers() ? newer.benchPeersFolder() : null
  // A package without a command of its own: asked for by a name that is never found, so that it is installed.
  const stream: Record<string, readonly string[]> =
    moduleIn('/') !== null ? {} : { 'nginx-stream-module': ['libnginx-mod-stream'] }
  const required: Record<string, readonly string[]> = { ...needed, ...(withPerf ? { perf: ['linux-perf'] } : {}) }
  const missing = ensurePeers({ ...required, ...(folder === null ? reserve : {}), ...stream })
  const lacking = Object.keys(required).filter(command => missing.includes(command))
  if (lacking.length > 0) {
    const packages = lacking.flatMap(command => required[command])
    throw new Error(`missing: ${lacking.join(', ')} (Debian packages: ${packages.join(' ')})`)
  }
  if (folder !== null) {
    const [nginx, haproxy, caddy] = ['nginx', 'haproxy', 'caddy'].map(name => newer.benchPeer(name) ?? name)
    return { nginx, haproxy, caddy, streamModule: moduleIn(folder) }
  }
  for (const command of Object.keys(reserve)) {
    if (missing.includes(command)) console.error(`${command} is not installed: going on without it`)
  }
  return { nginx: 'nginx', haproxy: 'haproxy', caddy: 'caddy', streamModule: moduleIn('/') }
}

/** A Node that runs TypeScript (24 or later): the PATH's, else the one that the tests run on. null if there is none */
export async function findNode(): Promise<string | null> {
  const isRecent = (binary: string) => {
    try {
      return Number.parseInt(execFileSync(binary, ['-p', 'process.versions.node'], { encoding: 'utf8' }), 10) >= 24
    } catch {
      return false
    }
  }
  if (isRecent('node')) return 'node'
  const folder = path.join(root, 'test/runtime')
  const { ensureInstalled }: RuntimeInstaller = await import(new URL('install.mjs', scripts).href)
  ensureInstalled(folder, { dev: true })
  const binary = path.join(folder, `node_modules/node-linux-${process.arch}/bin/node`)
  return isRecent(binary) ? binary : null
}
