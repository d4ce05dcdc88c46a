/** The demo's configuration: the four ways in which TLS can end, on one port. */
import { type ConfigInput, defineConfig } from '../../src/index.ts'
import type { Backends } from './backends.ts'

/** @param caFile the local CA, which has issued the backend's certificate too */
export function demoConfig(port: number, state: string, caFile: string, backends: Backends): ConfigInput {
  return defineConfig({
    listen: [{ port, address: '127.0.0.1' }],
    state,
    sites: [
      { host: 'localhost', default: true, certificate: 'local', to: [`http://127.0.0.1:${backends.http}`] },
      {
        host: 'bridge.localhost',
        certificate: 'local',
        to: {
          endpoints: [`https://127.0.0.1:${backends.https}`],
          tls: { ca: caFile, serverName: 'internal.localhost' },
        },
      },
      { host: 'passthrough.localhost', passthrough: { to: [`127.0.0.1:${backends.https}`] } },
      { host: 'tcp.localhost', certificate: 'local', tcp: { to: [`127.0.0.1:${backends.echo}`] } },
    ],
    log: { access: true, format: 'text' },
  })
}

/** The backends of a running demo have ports of the system's choosing; these stand for them. */
export const exampleBackends: Backends = { http: 3000, https: 3443, echo: 7000 }
