/** Servers that the gateway asks on its own behalf (CAs, Vault, Redis, webhooks) are held to the rules for backends. */
import assert from 'node:assert/strict'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import { request } from '../../src/base/http-request.ts'
import { serverTrust } from '../../src/gateway/certificates/server-trust.ts'
import { type Crafted, type CraftOptions, caFileOf, craft, filesOf, rsa } from '../harness/weak-certificates.ts'

const root = craft('Root', { isCa: true })
const shortRoot = craft('Short root', { isCa: true, key: rsa(1024) })
const middle = craft('Middle', { isCa: true, issuer: root })
/** OpenSSL shows nothing weak at its usual security level. */
const lax = 'Bun' in globalThis ? {} : { ciphers: 'DEFAULT@SECLEVEL=0' }
const servers: https.Server[] = []
after(() => {
  for (const server of servers) server.closeAllConnections()
  for (const server of servers) server.close()
})

const leaf = (options: CraftOptions): Crafted =>
  craft('localhost', { issuer: root, dnsNames: ['localhost'], use: ['serverAuth'], ...options })

/** Asks a server that shows this certificate. @returns its status, or why it is not believed */
async function ask(shown: Crafted, beside?: 'beside'): Promise<string> {
  const { chainPem: cert, keyPem: key } = filesOf(shown)
  const server = https.createServer({ cert, key, ...lax }, (_, answer) => answer.end('ok'))
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return await request(`https://localhost:${port}/`, {
    method: 'GET',
    headers: {},
    body: null,
    agent: null,
    ...serverTrust(caFileOf(root, shortRoot), beside),
    timeoutMs: 20_000,
    maxBytes: 1_000,
    signal: null,
  }).then(
    ({ status }) => `${status}`,
    error => error.message,
  )
}

describe('a server that the gateway asks for itself', () => {
  it('is believed with a strong certificate that has its name', async () => {
    assert.equal(await ask(leaf({})), '200')
    assert.equal(await ask(leaf({ issuer: middle })), '200')
    assert.equal(await ask(leaf({ key: rsa(2048) }), 'beside'), '200')
  })

  // Node's own library refuses the first two with words of its own.
  const refused: Record<string, [CraftOptions, RegExp]> = {
    'an RSA key of 1024 bits': [{ key: rsa(1024) }, /has an RSA key of 1024 bits|EE certificate key too weak/],
    'a root of 1024 bits': [{ issuer: shortRoot }, /has an RSA key of 1024 bits|CA certificate key too weak/],
    'a signature with SHA-1': [{ hash: 'sha1' }, /is signed with SHA-1|CA signature digest algorithm too weak/],
    'its name as common name only': [
      { dnsNames: [] },
      /has no DNS name in subjectAltName, and its common name does not count \(RFC 9525\)/,
    ],
    'another name': [{ dnsNames: ['elsewhere.test'] }, /elsewhere\.test/],
  }
  for (const [title, [options, why]] of Object.entries(refused))
    it(`is not believed with ${title}`, async () => {
      const said = await ask(leaf(options))
      assert.match(said, why)
      assert.doesNotMatch(said, /backend|or write tls/)
    })
})
