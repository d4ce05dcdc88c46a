/** Options that belong to the process or to a listener that stays bound: a reload changes them too, or fails with their name. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ConfigInput, ListenInput } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createGateway } from '../../src/index.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { rawTcp } from '../harness/raw.ts'

const sites = [{ host: 'localhost', routes: [{ respond: { body: 'here' } }] }]
const address = '127.0.0.1'
const trusting: ListenInput = { port: 0, address, cleartext: 'serve', proxyProtocol: { from: ['127.0.0.0/8'] } }
const plain: ListenInput = { port: 0, address, cleartext: 'serve' }

const start = (config: Partial<ConfigInput> & { listen: readonly ListenInput[] }) =>
  startGateway({ sites, log: { access: true }, ...config })

async function reload({ gateway }: Started, config: Partial<ConfigInput>): Promise<void> {
  const { state } = gateway.config
  const value = { state, sites, listen: [plain], log: { access: true }, ...config }
  await gateway.apply((await loadConfig({ value })).config)
}

/** All that comes for it */
async function ask(port: number, text: string): Promise<string> {
  const client = await rawTcp(port)
  client.send(text)
  return (await client.closed()).received
}

const request = 'GET /asked HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
const header = 'PROXY TCP4 203.0.113.7 192.0.2.1 1000 80\r\n'
const forged = `${header}${request}`

describe('a reload', () => {
  it('ends the trust in PROXY headers on a listener that stays bound, also on open connections', async () => {
    const gateway = await start({ listen: [trusting] })
    const open = await rawTcp(gateway.port)
    open.send(`${header}${request.replace('Connection: close\r\n', '')}`)
    await open.until(text => text.includes('here'))
    await gateway.logged(({ client }) => client === '203.0.113.7')
    await reload(gateway, { listen: [plain] })
    await open.closed()
    assert.match(await ask(gateway.port, request), /here$/)
    await gateway.logged(({ message, client }) => message === 'request' && client === '127.0.0.1')
    assert.doesNotMatch(await ask(gateway.port, forged), /here/)
    await reload(gateway, { listen: [trusting] })
    assert.match(await ask(gateway.port, forged), /here$/)
    assert.doesNotMatch(await ask(gateway.port, request), /here/)
    await reload(gateway, { listen: [{ ...trusting, proxyProtocol: { from: ['192.0.2.0/24'] } }] })
    assert.match(await ask(gateway.port, request), /here$/)
    await gateway.stop()
  })

  it('ends connections whose PROXY header is still to come when the trust ends, also those of peers that said nothing', async () => {
    const gateway = await start({ listen: [trusting] })
    const waiting = await Promise.all(
      ['', header.slice(0, 20)].map(async sent => ({ sent, client: await rawTcp(gateway.port) })),
    )
    for (const { sent, client } of waiting) client.send(sent)
    const served = await rawTcp(gateway.port)
    served.send(forged)
    await served.closed()
    await reload(gateway, { listen: [plain] })
    for (const { sent, client } of waiting) {
      client.send(forged.slice(sent.length))
      assert.doesNotMatch((await client.closed()).received, /here/, `after '${sent}'`)
    }
    await gateway.stop()
  })

  it('changes what a listener speaks in cleartext', async () => {
    const gateway = await start({ listen: [plain] })
    assert.match(await ask(gateway.port, request), /here$/)
    await reload(gateway, { listen: [{ ...plain, cleartext: 'redirect' }] })
    assert.match(await ask(gateway.port, request), /^HTTP\/1\.1 308 /)
    await gateway.stop()
  })

  it('changes log.access, log.format and log.level; access records do not depend on the level', async () => {
    const gateway = await startGateway({ listen: [plain], sites, log: { access: false } })
    const lines = () => gateway.logs().filter(({ message }) => message === 'request').length
    await ask(gateway.port, request)
    assert.equal(lines(), 0)
    await reload(gateway, { log: { access: true, level: 'error' } })
    await ask(gateway.port, request)
    await gateway.logged(({ message }) => message === 'request')
    await reload(gateway, { log: { access: false } })
    await ask(gateway.port, request)
    await reload(gateway, { log: { access: true } })
    await ask(gateway.port, request)
    await gateway.logged(() => lines() === 2)
    // The format last: the harness reads JSON.
    const formats: string[] = []
    const other = await createGateway(
      { listen: [plain], sites, state: temporaryFolder() },
      { out: text => void formats.push(text) },
    )
    for (const format of ['text', 'json'] as const) {
      await other.apply({ ...other.config, log: { ...other.config.log, format } })
      other.log.write('info', format)
      other.log.flush()
    }
    assert.match(formats[0] as string, /^[\d:.]+ info {2}text$/m)
    assert.match(formats[1] as string, /^\{.*"message":"json"/m)
    await other.drain(0)
    await gateway.stop()
  })

  it('gives each of several listeners on ports of the system its own options, in their order', async () => {
    const gateway = await start({ listen: [plain, trusting] })
    const ports = [...gateway.ports]
    await reload(gateway, {
      listen: [
        { ...plain, port: ports[1] as number },
        { ...trusting, port: ports[0] as number },
      ],
    })
    assert.deepEqual([...gateway.gateway.ports], [ports[1], ports[0]])
    assert.match(await ask(ports[0] as number, forged), /here$/)
    assert.match(await ask(ports[1] as number, request), /here$/)
    await gateway.stop()
  })

  it('fails with the name of what it cannot change, and changes nothing', async () => {
    const gateway = await start({ listen: [plain] })
    const listen = [{ ...plain, port: gateway.port, address: '0.0.0.0' }]
    await assert.rejects(reload(gateway, { state: temporaryFolder(), listen: [plain] }), /^UsageError: state: /)
    await assert.rejects(reload(gateway, { listen }), /listen\.address cannot be changed from 127\.0\.0\.1/)
    assert.match(await ask(gateway.port, request), /here$/)
    await gateway.stop()
  })
})
