/** The self-test of the TLS library at start: it passes here, and refuses a transport that ignores what it is told. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { createGateway } from '../../src/index.ts'
import type { ClientTls, ServerTls } from '../../src/model/tls-terms.ts'
import { selfTest } from '../../src/tls/self-test.ts'
import { currentTransport } from '../../src/transport/current.ts'
import type { Transport } from '../../src/transport/transport.ts'
import { temporaryFolder } from '../harness/certificates.ts'

const windows = [{ key: (context: string) => createHash('sha384').update(context).digest() }]
const real = currentTransport(() => {}, null, { windows: () => windows, lifetimeSeconds: 60 })

const server = (change: (terms: ServerTls) => Partial<ServerTls>): Transport => ({
  listen: (options, accept) => real.listen(options, accept),
  connect: (target, handler) => real.connect(target, handler),
  secure: (link, peeked, terms, settled) => real.secure(link, peeked, { ...terms, ...change(terms) }, settled),
})
const client = (change: Partial<ClientTls>): Transport => ({
  listen: (options, accept) => real.listen(options, accept),
  connect: (target, handler) =>
    real.connect({ ...target, tls: { ...(target.tls as ClientTls), ...change } }, handler),
  secure: (link, peeked, terms, settled) => real.secure(link, peeked, terms, settled),
})

/** As if the terms of a connection were forgotten, once there is a context. */
function withTermsOfTheFirst(): Transport {
  let first: ServerTls | null = null
  return {
    listen: (options, accept) => real.listen(options, accept),
    connect: (target, handler) => real.connect(target, handler),
    secure(link, peeked, terms, settled) {
      first ??= terms
      real.secure(link, peeked, first, settled)
    },
  }
}

describe('the self-test', () => {
  it('passes on this runtime', () => selfTest(real))

  const deaf: Record<string, [Transport, RegExp]> = {
    'does not verify backends': [client({ verify: false }), /a backend with an untrusted certificate/],
    'does not look at the name of a backend': [client({ checkName: false }), /a backend with another name/],
    'answers no ALPN': [server(() => ({ alpn: [] })), /ALPN/],
    'resumes a session under other terms': [withTermsOfTheFirst(), /resumed under other terms/],
    'does not offer TLS 1.3': [server(() => ({ maxVersion: 'TLSv1.2' })), /TLS 1\.3 is not negotiated/],
  }
  for (const [what, [transport, why]] of Object.entries(deaf)) {
    it(`refuses a transport that ${what}`, async () => {
      await assert.rejects(selfTest(transport), why)
    })
  }

  it('runs before a gateway starts', async () => {
    const gateway = await createGateway({
      listen: [{ port: 0, address: '127.0.0.1' }],
      sites: [{ host: 'localhost', certificate: 'local', routes: [{ respond: { body: 'a' } }] }],
      state: temporaryFolder('sallyport-state-'),
    })
    await gateway.drain(0)
  })
})
