/** A client's certificate that something has signed which may not: the log names the signer, and not the client's purpose. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Started, startGateway } from '../harness/gateway.ts'
import { rawTls } from '../harness/raw.ts'
import { type Crafted, caFileOf, craft, filesOf } from '../harness/weak-certificates.ts'

const root = craft('Root', { isCa: true })
const loneRoot = craft('Lone')
const notCa = craft('Service', { issuer: root, use: ['serverAuth'] })
const forServers = craft('CA for servers', { isCa: true, issuer: root, use: ['serverAuth'] })
const use = ['clientAuth'] as const
const onBun = 'Bun' in globalThis

/** Node shows no issuer that is no CA, and where a certificate is required nothing at all (26.10). */
const rows: Record<string, [client: Crafted, whole: RegExp, onNode: RegExp]> = {
  'a certificate of a service': [
    craft('a', { issuer: notCa, use }),
    /is signed by CN=Service, which is no CA/,
    /what has signed it is no CA/,
  ],
  'a trusted certificate that is no CA': [
    craft('b', { issuer: loneRoot, use }),
    /is signed by CN=Lone, which is no CA/,
    /what has signed it is no CA/,
  ],
  'a CA for servers': [
    craft('c', { issuer: forServers, use }),
    /is signed by CN=CA for servers, which is a CA for other certificates/,
    /by a CA whose own certificate allows that/,
  ],
  'a good CA, and it is for servers itself': [
    craft('d', { issuer: root, use: ['serverAuth'] }),
    /is not for clients: have one issued/,
    /is not for clients: /,
  ],
}

describe('the issuer of a client certificate is at fault', () => {
  let gateway: Started
  /** Client ports: each connection is looked for once */
  const seen = new Set<unknown>()
  before(async () => {
    const ca = caFileOf(root, loneRoot)
    const site = (host: string, verify: string) => ({
      host,
      certificate: 'local',
      clients: { ca, verify },
      routes: [{ respond: { body: 'fine' } }],
    })
    gateway = await startGateway({
      sites: [site('require.test', 'require'), site('optional.test', 'optional')] as never,
    })
  })
  after(() => gateway.stop())

  for (const [name, [client, whole, onNode]] of Object.entries(rows)) {
    it(name, async () => {
      const { chainPem: cert, keyPem: key } = filesOf(client)
      for (const host of ['require.test', 'optional.test']) {
        const link = await rawTls(gateway.port, { servername: host, cert, key }).catch(() => null)
        link?.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
        await link?.until(text => text.length > 0).catch(() => '')
        const record = await gateway.logged(each => each['sni'] === host && seen.has(each['clientPort']) === false)
        seen.add(record['clientPort'])
        const said = String(record['why'])
        assert.ok(whole.test(said) || (!onBun && onNode.test(said)), said)
      }
    })
  }
})
