/** Starts and stops the proxies under test: one worker each, on the proxy's core. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../../src/base/errors.ts'
import { freePort } from '../../test/harness/ports.ts'
import type { BareJob } from './bare/job.ts'
import type { Case } from './case.ts'
import { caddyConfig } from './configs/caddy.ts'
import { haproxyConfig, haproxyMap } from './configs/haproxy.ts'
import { accessLog, answerOf } from './configs/many.ts'
import { nginxConfig } from './configs/nginx.ts'
import { sallyportConfig } from './configs/sallyport.ts'
import { get } from './probe.ts'
import { logTail, type Running, start } from './processes.ts'
import { backendName, type PeerName, type Setup } from './setup.ts'
import type { PeerCommands } from './tools.ts'

export type PeerOptions = PeerCommands & {
  /** Words before `run -c FILE`; usually `node bin/sallyport` */
  readonly sallyportCommand: readonly string[]
  /** The same of another Sallyport, the peer `base` */
  readonly baseCommand: readonly string[]
  readonly runtime: 'bun' | 'node' | null
  /** A Node that runs TypeScript, null where there is none */
  readonly node: string | null
  /** As the peer's own `version` command prints them */
  readonly versions: Partial<Record<PeerName, string>>
}

export type RunningPeer = Running & {
  readonly name: PeerName
  readonly port: number
  /** Where its access log goes; null for a socket */
  readonly accessLog: string | null
  /** Makes it read its configuration again, changed to answer `answer` */
  reload(answer: string): void
}

type Launch = {
  /** By file name, the one that the command takes first */
  readonly files: readonly (readonly [name: string, text: (setup: Setup) => string])[]
  command(file: string): readonly string[]
  readonly env?: Record<string, string>
  /** Printed by the process when it accepts connections */
  readonly readyLine?: string
  readonly reloadSignal?: 'SIGHUP' | 'SIGUSR2'
}

const readyMs = 30_000
const pollMs = 5

/** Debian's Caddy has no layer 4; its reload needs its administration endpoint, which is off here. */
export const supports = (name: PeerName, { shape, load }: Case): boolean =>
  name !== 'caddy' || (shape !== 'passthrough' && load !== 'reload')

function launch(name: PeerName, one: Case, setup: Setup, options: PeerOptions): Launch {
  const { folder } = setup
  switch (name) {
    case 'nginx': {
      const build = { version: options.versions.nginx ?? '1.22.0', streamModule: options.streamModule }
      return {
        files: [['nginx.conf', now => nginxConfig(now, build)]],
        command: file => [options.nginx, '-e', path.join(folder, 'log'), '-p', folder, '-c', file],
        reloadSignal: 'SIGHUP',
      }
    }
    case 'haproxy': {
      const maxConnections = Math.max(8000, one.connections + (one.idleBeside ?? 0) + 100)
      const mode = one.load === 'reload' ? ['-W', '-db'] : ['-db']
      return {
        files: [
          ['haproxy.cfg', now => haproxyConfig({ ...now, maxConnections })],
          ['sites.map', haproxyMap],
        ],
        command: file => [options.haproxy, ...mode, '-f', file],
        reloadSignal: 'SIGUSR2',
      }
    }
    case 'caddy':
      return {
        files: [['Caddyfile', now => caddyConfig(now, options.versions.caddy ?? '2.6')]],
        command: file => [options.caddy, 'run', '--adapter', 'caddyfile', '--config', file],
        env: { GOMAXPROCS: '1', HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
      }
    case 'bare':
    case 'bare-node': {
      const onBun = name === 'bare' && options.runtime !== 'node'
      const script = fileURLToPath(new URL(`bare/listen-${onBun ? 'bun' : 'node'}.ts`, import.meta.url))
      const runtime = onBun ? process.execPath : (options.node ?? 'node')
      const job: BareJob = {
        port: setup.port,
        mode: one.bare ?? 'constant',
        identity: setup.shape === 'passthrough' || setup.cleartext ? null : setup.identity,
        backendPort: setup.backendPort,
        backendTls: setup.shape === 'bridge' ? { ca: setup.ca, serverName: backendName } : null,
        body: answerOf(null),
      }
      return { files: [['job.json', () => '']], command: () => [runtime, script, JSON.stringify(job)] }
    }
    case 'node':
    case 'sallyport':
    case 'plain':
    case 'two':
    case 'base': {
      const wanted = name === 'node' ? 'node' : options.runtime
      const runtime = wanted === null ? [] : ['--runtime', wanted]
      const workers = ['--workers', name === 'two' ? '2' : '1']
      const [first, ...further] = name === 'base' ? options.baseCommand : options.sallyportCommand
      // The launcher runs the gateway on the Node that it runs on itself.
      const launcher = first === 'node' && wanted === 'node' ? (options.node ?? first) : first
      return {
        files: [['sallyport.yaml', now => sallyportConfig(name === 'plain' ? { ...now, shape: 'edge' } : now)]],
        command: file => [launcher, ...further, 'run', '-c', file, ...workers, ...runtime],
        readyLine: 'sallyport ready',
        reloadSignal: 'SIGHUP',
      }
    }
  }
}

/** Resolves when the proxy answers a verified request. */
export async function startPeer(
  name: PeerName,
  one: Case,
  core: number,
  base: Omit<Setup, 'port'>,
  options: PeerOptions,
): Promise<RunningPeer & { readonly startMs: number }> {
  const setup: Setup = { ...base, port: await freePort() }
  mkdirSync(setup.folder, { recursive: true })
  const { files, command, env, readyLine, reloadSignal } = launch(name, one, setup, options)
  const write = (now: Setup) => {
    for (const [file, text] of files) writeFileSync(path.join(setup.folder, file), text(now))
  }
  write(setup)
  const logFile = path.join(setup.folder, 'log')
  const began = performance.now()
  const running = start({ core, command: command(path.join(setup.folder, files[0][0])), env, logFile })
  const deadline = began + readyMs
  let reason = 'no answer'
  while (!running.exited() && performance.now() < deadline) {
    try {
      const ready = readyLine === undefined || readFileSync(logFile, 'utf8').includes(readyLine)
      if (ready && (await get(setup.port, setup.cleartext ? null : setup.ca, '/seen')).status === 200) {
        return {
          ...running,
          name,
          port: setup.port,
          startMs: performance.now() - began,
          accessLog: name === 'haproxy' ? null : readyLine === undefined ? accessLog(setup.folder) : logFile,
          reload(answer) {
            if (reloadSignal === undefined || setup.many === null) throw new Error(`${name} has no reload here`)
            write({ ...setup, many: { ...setup.many, answer } })
            process.kill(running.pid, reloadSignal)
          },
        }
      }
      reason = ready ? 'GET /seen is not answered with 200' : `it has not said '${readyLine}'`
    } catch (error) {
      reason = messageOf(error)
    }
    await wait(pollMs)
  }
  const state = running.exited() ? 'it exited' : reason
  await running.stop()
  throw new Error(`${name} does not start (${state}):\n${logTail(running)}`)
}
