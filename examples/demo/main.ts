/**
 * `npm start`: a gateway on https://localhost:8443 with the four ways in which TLS can end, a local CA, and small
 * backends inside this process. Prints what to try next.
 */
import path from 'node:path'
import { openLocalCa } from '../../src/certs/local-ca.ts'
import { createGateway, type Gateway } from '../../src/index.ts'
import { startBackends } from './backends.ts'
import { hints } from './hints.ts'

const folder = import.meta.dirname
const state = path.join(folder, '.sallyport')
const port = Number(process.env['PORT'] ?? 8443)

async function main(): Promise<Gateway> {
  const ca = openLocalCa(state)
  const backends = await startBackends(ca)
  const gateway = await createGateway({
    listen: [{ port, address: '127.0.0.1' }],
    state,
    sites: [
      { host: 'localhost', default: true, certificate: 'local', to: [`http://127.0.0.1:${backends.http}`] },
      {
        host: 'bridge.localhost',
        certificate: 'local',
        to: {
          endpoints: [`https://127.0.0.1:${backends.https}`],
          tls: { ca: ca.file ?? '', serverName: 'internal.localhost' },
        },
      },
      { host: 'passthrough.localhost', passthrough: { to: [`127.0.0.1:${backends.https}`] } },
      { host: 'tcp.localhost', certificate: 'local', tcp: { to: [`127.0.0.1:${backends.echo}`] } },
    ],
    log: { access: true, format: 'text' },
  })
  process.stderr.write(hints(port, ca.file ?? ''))
  return gateway
}

main().then(
  gateway => {
    const stop = () => {
      gateway.drain(1_000).then(() => process.exit(0))
    }
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
  },
  error => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  },
)
