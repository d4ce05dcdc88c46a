/** Starts the backends beside the load, and reads their counters: what reached them is what the proxies really did. */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../test/harness/ports.ts'
import { backendConfig } from './configs/backend.ts'
import { ordersJson } from './orders.ts'
import { logTail, start } from './processes.ts'
import type { BackendPorts, CertificateFiles } from './setup.ts'

export type Backend = {
  readonly ports: BackendPorts
  /** Lines of `connection resumed` for requests to /resumed */
  readonly resumedLog: string
}

export type BackendCounters = { readonly connections: number; readonly requests: number }

export async function startBackend(core: number, folder: string, certificates: CertificateFiles): Promise<Backend> {
  const bodies = path.join(folder, 'bodies')
  mkdirSync(bodies, { recursive: true })
  writeFileSync(path.join(bodies, '16k.bin'), Buffer.alloc(16 * 1024, 'sallyport '))
  writeFileSync(path.join(bodies, 'orders.json'), ordersJson())
  writeFileSync(path.join(bodies, '1m.bin'), Buffer.alloc(1024 * 1024, 'sallyport '))
  const ports = { plain: await freePort(), tls: await freePort(), h2c: await freePort(), script: await freePort() }
  const config = path.join(folder, 'nginx.conf')
  writeFileSync(config, backendConfig({ ports, certificates, folder, bodies }))
  const logFile = path.join(folder, 'log')
  const script = fileURLToPath(new URL('script-backend.ts', import.meta.url))
  const scriptLog = path.join(folder, 'script.log')
  const running = [
    start({ core, command: ['nginx', '-e', logFile, '-p', folder, '-c', config], logFile }),
    start({ core, command: [process.execPath, script, String(ports.script)], logFile: scriptLog }),
  ]
  for (let tries = 0; tries < 100; tries++) {
    if (running.some(one => one.exited())) break
    const answers = await Promise.all([backendCounters(ports.plain), backendCounters(ports.script)])
    if (answers.every(one => one !== null)) return { ports, resumedLog: path.join(folder, 'resumed.log') }
    await wait(50)
  }
  throw new Error(`a backend does not start:\n${running.map(one => logTail(one)).join('\n')}`)
}

/** null while it does not answer */
export async function backendCounters(port: number): Promise<BackendCounters | null> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/status`, { headers: { connection: 'close' } })
    const [connections, , requests] =
      /^ (\d+) (\d+) (\d+)/m
        .exec(await response.text())
        ?.slice(1)
        .map(Number) ?? []
    return { connections, requests }
  } catch {
    return null
  }
}
