/**
 * One evening's work: a gateway with an internal CA and its ACME server, a backend that gets its certificate there, and
 * the bridge between them, verified.
 */
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import { initInternalCa, internalCaFolder } from '../../src/certs/ca/internal-ca.ts'
import { ask } from '../harness/ask.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { freePort } from '../harness/ports.ts'

const key = Buffer.alloc(32, 7).toString('base64url')

describe('a gateway with an internal CA', () => {
  const running: Started[] = []
  after(async () => {
    for (const each of running) await each.stop()
  })
  const start = async (config: Parameters<typeof startGateway>[0]) => {
    const started = await startGateway(config)
    running.push(started)
    return started
  }

  test('gives its backend a certificate, and bridges to it verified; a renewed one is taken as well', async () => {
    const state = temporaryFolder('sallyport-state-')
    initInternalCa(state, { name: 'Evening CA', names: ['internal', 'localhost'] })
    const root = path.join(internalCaFolder(state), 'root.pem')
    const [acmePort, backendPort] = [await freePort(), await freePort()]
    const gateway = await start({
      state,
      sites: [
        {
          host: 'shop.test',
          certificate: 'local',
          to: {
            endpoints: [`https://127.0.0.1:${backendPort}`],
            tls: { ca: root, serverName: 'orders.internal' },
          },
        },
      ],
      ca: {
        acme: {
          listen: { port: acmePort, address: '127.0.0.1' },
          host: 'localhost',
          challenges: [],
          externalAccounts: { orders: { key, allow: ['orders.internal'] } },
        },
      },
    })
    assert.equal(gateway.gateway.managed.directory, `https://localhost:${acmePort}/directory`)

    const refused = await ask('HTTP/1.1', gateway.port, { host: 'shop.test' })
    assert.equal(refused.status, 502)

    const backend = await start({
      listen: [{ port: backendPort, address: '127.0.0.1' }],
      sites: [
        {
          host: 'orders.internal',
          default: true,
          certificate: 'acme',
          routes: [{ respond: { status: 200, body: 'from orders' } }],
        },
      ],
      acme: {
        email: 'ops@example.com',
        directory: `https://localhost:${acmePort}/directory`,
        ca: root,
        externalAccount: { keyId: 'orders', key },
      },
    })
    await backend.logged(record => record['message'] === 'certificate obtained')
    const answer = await ask('HTTP/1.1', gateway.port, { host: 'shop.test' })
    assert.equal(answer.status, 200)
    assert.equal(answer.body, 'from orders')
    await backend.gateway.managed.renew('orders.internal')
    assert.equal((await ask('HTTP/1.1', gateway.port, { host: 'shop.test' })).status, 200)
    const [row] = backend.gateway.certificates()
    assert.deepEqual([row?.names, row?.state], [['orders.internal'], 'serving'])
    await backend.gateway.managed.revoke('orders.internal', 4)
    assert.deepEqual(await backend.gateway.managed.rollOver(), [`https://localhost:${acmePort}/directory`])
    await backend.gateway.managed.renew('orders.internal')
  })

  test('does not start without one, and goes on through a reload that leaves it alone', async () => {
    const listen = { port: await freePort(), address: '127.0.0.1' }
    const ca = { acme: { listen, host: 'localhost' } }
    const sites = [
      { host: 'a.test', certificate: 'local', routes: [{ respond: { status: 200, body: 'x' } }] },
    ] as const
    await assert.rejects(start({ sites, ca }), /ca init/)
    const state = temporaryFolder('sallyport-state-')
    initInternalCa(state, { name: 'CA', names: [] })
    const started = await start({ state, sites, ca })
    const { directory } = started.gateway.managed
    await started.gateway.apply(started.gateway.config)
    assert.equal(started.gateway.managed.directory, directory)
    const moved = {
      ...started.gateway.config.ca!,
      acme: { ...started.gateway.config.ca!.acme!, listen: { ...listen, port: await freePort() } },
    }
    await started.gateway.apply({ ...started.gateway.config, ca: moved })
    await started.logged(record =>
      String(record['directory'] ?? record['message']).includes(`${moved.acme.listen.port}`),
    )
    await started.gateway.apply({ ...started.gateway.config, ca: null })
  })
})
