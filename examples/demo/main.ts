/**
 * `npm start`: a gateway on https://localhost:8443 with the four ways in which TLS can end, a local CA, and small
 * backends inside this process. Prints what to try next.
 */
import path from 'node:path'
import { openLocalCa } from '../../src/certs/ca/local-ca.ts'
import { createGateway, type Gateway } from '../../src/index.ts'
import { startBackends } from './backends.ts'
import { demoConfig } from './config.ts'
import { hints } from './hints.ts'

const folder = import.meta.dirname
const state = path.join(folder, '.sallyport')
const port = Number(process.env['PORT'] ?? 8443)

async function main(): Promise<Gateway> {
  const ca = openLocalCa(state)
  const backends = await startBackends(ca)
  const gateway = await createGateway(demoConfig(port, state, ca.file ?? '', backends))
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
