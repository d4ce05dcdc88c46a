/** Starts and stops the proxies under test: one worker each, on the proxy's core. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { messageOf } from '../../src/base/errors.ts'
import { freePort } from '../../test/harness/ports.ts'
import { caddyConfig } from './configs/caddy.ts'
import { haproxyConfig } from './configs/haproxy.ts'
import { nginxConfig } from './configs/nginx.ts'
import { sallyportConfig } from './configs/sallyport.ts'
import { get } from './probe.ts'
import { logTail, type Running, start } from './processes.ts'
import type { PeerName, Setup, Shape } from './setup.ts'

export type PeerOptions = {
  /** Words before `run -c FILE`; usually `node bin/sallyport` */
  readonly sallyportCommand: readonly string[]
  /** The same of another Sallyport, the peer `base` */
  readonly baseCommand: readonly string[]
  readonly runtime: 'bun' | 'node' | null
  /** As the peer's own `version` command prints them */
  readonly versions: Partial<Record<PeerName, string>>
}

export type RunningPeer = Running & { readonly name: PeerName; readonly port: number }

type Launch = {
  readonly config: string
  readonly file: string
  command(file: string): readonly string[]
  readonly env?: Record<string, string>
  /** Printed by the process when it accepts connections */
  readonly readyLine?: string
}

const readyMs = 15_000

/** Stages are Sallyport's own matter. */
export const takesPart = (name: PeerName, shape: Shape): boolean =>
  shape === 'stages' ? name === 'sallyport' || name === 'plain' : name !== 'plain'

/** Debian's Caddy has no layer 4. */
export const supports = (name: PeerName, shape: Shape): boolean => !(name === 'caddy' && shape === 'passthrough')

function launch(name: PeerName, setup: Setup, options: PeerOptions): Launch {
  const { folder } = setup
  switch (name) {
    case 'nginx': {
      const command = (file: string) => ['nginx', '-e', path.join(folder, 'log'), '-p', folder, '-c', file]
      return { config: nginxConfig(setup), file: 'nginx.conf', command }
    }
    case 'haproxy':
      return { config: haproxyConfig(setup), file: 'haproxy.cfg', command: file => ['haproxy', '-db', '-f', file] }
    case 'caddy':
      return {
        config: caddyConfig(setup, options.versions.caddy ?? '2.6'),
        file: 'Caddyfile',
        command: file => ['caddy', 'run', '--adapter', 'caddyfile', '--config', file],
        env: { GOMAXPROCS: '1', HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
      }
    case 'sallyport':
    case 'plain':
    case 'base': {
      const runtime = options.runtime === null ? [] : ['--runtime', options.runtime]
      const command = (file: string) => [
        ...(name === 'base' ? options.baseCommand : options.sallyportCommand),
        'run',
        '-c',
        file,
        '--workers',
        '1',
        ...runtime,
      ]
      const shown = name === 'plain' ? { ...setup, shape: 'edge' as const } : setup
      return { config: sallyportConfig(shown), file: 'sallyport.yaml', command, readyLine: 'sallyport ready' }
    }
  }
}

/** Resolves when the proxy answers a verified request. */
export async function startPeer(
  name: PeerName,
  core: number,
  base: Omit<Setup, 'port'>,
  options: PeerOptions,
): Promise<RunningPeer> {
  const setup: Setup = { ...base, port: await freePort() }
  mkdirSync(setup.folder, { recursive: true })
  const { config, file, command, env, readyLine } = launch(name, setup, options)
  const configFile = path.join(setup.folder, file)
  writeFileSync(configFile, config)
  const logFile = path.join(setup.folder, 'log')
  const running = start({ core, command: command(configFile), env, logFile })
  const deadline = performance.now() + readyMs
  let reason = 'no answer'
  while (!running.exited() && performance.now() < deadline) {
    try {
      const ready = readyLine === undefined || readFileSync(logFile, 'utf8').includes(readyLine)
      if (ready && (await get(setup.port, setup.certificates.ca, '/seen')).status === 200) {
        return { ...running, name, port: setup.port }
      }
      reason = ready ? 'GET /seen is not answered with 200' : `it has not said '${readyLine}'`
    } catch (error) {
      reason = messageOf(error)
    }
    await wait(50)
  }
  const state = running.exited() ? 'it exited' : reason
  await running.stop()
  throw new Error(`${name} does not start (${state}):\n${logTail(running)}`)
}

/** First line that names a version, null if the command cannot be run. */
export function versionOf(
  name: PeerName,
  { sallyportCommand, baseCommand }: Pick<PeerOptions, 'sallyportCommand' | 'baseCommand'>,
): string | null {
  const [command, ...args] = {
    sallyport: [...sallyportCommand, '--version'],
    plain: [...sallyportCommand, '--version'],
    base: [...baseCommand, '--version'],
    // nginx says its version on standard error.
    nginx: ['sh', '-c', 'nginx -V 2>&1'],
    haproxy: ['haproxy', '-v'],
    caddy: ['caddy', 'version'],
  }[name]
  try {
    const text = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const [number] = /\d+\.\d+[\w.~+-]*/.exec(text) ?? []
    const library = /built with (OpenSSL [\w.]+)/.exec(text)?.[1]
    return number === undefined ? null : library === undefined ? number : `${number} (${library})`
  } catch {
    return null
  }
}
