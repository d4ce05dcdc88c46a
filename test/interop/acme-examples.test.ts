/** What examples/acme/README.md says, done: its file against Pebble, and the demo with `certificate: acme` and an address. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { copyFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import tls from 'node:tls'
import { demoConfig } from '../../examples/demo/config.ts'
import { temporaryFolder, testCa } from '../harness/certificates.ts'
import { startGateway } from '../harness/gateway.ts'
import { type Pebble, pebbleIsMissing, startPebble } from '../harness/pebble.ts'
import { main } from '../harness/sallyport.ts'
import { until } from '../harness/until.ts'

const top = path.resolve(import.meta.dirname, '../..')
const ca = testCa()

describe('from the examples to a deployment', { skip: pebbleIsMissing || false }, () => {
  let pebble: Pebble
  let backend: http.Server
  let backendPort = 0

  before(async () => {
    pebble = await startPebble({ ca, ownAnswers: true })
    backend = http.createServer((_, response) => response.end('from the backend'))
    await new Promise<void>(resolve => backend.listen(0, '127.0.0.1', resolve))
    backendPort = (backend.address() as AddressInfo).port
  })
  after(() => {
    pebble.stop()
    backend.close()
  })

  test('examples/acme, as it is typed', async () => {
    const folder = temporaryFolder('sallyport-example-')
    const file = path.join(folder, 'pebble.yaml')
    copyFileSync(path.join(top, 'examples/acme/pebble.yaml'), file)
    const child = spawn(process.execPath, [main, 'run', '-c', file], {
      env: {
        ...process.env,
        DOMAIN: 'own.test',
        DIRECTORY: pebble.directory,
        CA: ca.file,
        BACKEND: `http://127.0.0.1:${backendPort}`,
        HTTPS_PORT: `${pebble.tlsPort}`,
        HTTP_PORT: `${pebble.httpPort}`,
      },
    })
    const ended = new Promise(resolve => child.on('close', resolve))
    let output = ''
    child.stdout.on('data', chunk => void (output += chunk))
    child.stderr.on('data', chunk => void (output += chunk))
    try {
      await until(() => output.includes('"certificate obtained"'))
      assert.match(await get(pebble.tlsPort, 'own.test', await pebble.root()), /from the backend$/)
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${output}`, { cause: error })
    } finally {
      child.kill('SIGTERM')
      await ended
    }
  })

  test('the demo, with certificate: acme and an e-mail address', async () => {
    const state = temporaryFolder('sallyport-state-')
    const caFile = path.join(state, 'ca.pem')
    writeFileSync(caFile, ca.certificatePem)
    const demo = demoConfig(443, state, caFile, { http: backendPort, https: 1, echo: 1 })
    const [site, ...others] = demo.sites
    const started = await startGateway({
      ...demo,
      log: { access: false },
      listen: [
        { port: pebble.tlsPort, address: '127.0.0.1' },
        { port: pebble.httpPort, address: '127.0.0.1', cleartext: 'redirect' },
      ],
      acme: { email: 'ops@example.com', directory: pebble.directory, ca: ca.file },
      sites: [{ ...(site as object), host: 'shop.test', certificate: 'acme' } as typeof site & object, ...others],
    })
    try {
      await started.logged(record => record['message'] === 'certificate obtained')
      assert.match(await get(started.port, 'shop.test', await pebble.root()), /from the backend$/)
    } finally {
      await started.stop()
    }
  })
})

/** Verifies as a browser would. */
function get(port: number, servername: string, root: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = tls.connect({ host: '127.0.0.1', port, servername, ca: root }, () =>
      socket.write(`GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`),
    )
    socket.on('data', chunk => void (text += chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
  })
}
