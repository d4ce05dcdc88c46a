/**
 * Proves at start, on a loopback pair, that the TLS options in use have their effect on this runtime and version:
 * options have been silently dropped before. Refuses to start where one has not. About 10 ms.
 *
 * Proven: TLS 1.3 is negotiated, the ALPN list is answered, a backend with an untrusted certificate or another name is
 * refused (and where only the id counts, the certificate still does), and a session made under one set of terms is not
 * resumed under another. test/gateway/self-test.test.ts has a transport that ignores each of these.
 */

import type { ProxyError } from '../base/errors.ts'
import { UsageError } from '../base/errors.ts'
import { runtime } from '../base/runtime.ts'
import type { Link, LinkHandler, TlsFacts } from '../model/link.ts'
import { type Policy, policies } from '../model/policies.ts'
import type { ClientTls, PeerJudge, ServerTls } from '../model/tls-terms.ts'
import type { Transport } from '../transport/transport.ts'
import { testChainPem, testKeyPem, testName } from './self-test-certificate.ts'

const timeoutMs = 10_000

export async function selfTest(transport: Transport): Promise<void> {
  const intermediate = terms('intermediate', ['http/1.1'])
  const other = terms('modern', ['http/1.1'])
  let current: ServerTls = intermediate
  let served: TlsFacts | null = null
  const listening = await transport.listen(
    { address: '127.0.0.1', port: 0, reusePort: false, unixMode: null, backlog: null, keepAliveMs: () => 0 },
    link => {
      link.handler = {
        ...quiet,
        onData(chunk) {
          transport.secure(link, chunk, current, error => {
            if (error !== null) return
            served = link.tls
            link.handler = { ...quiet, onData: data => void link.write(data), onEnd: () => link.close() }
          })
        },
      }
    },
  )
  const connect = (tls: ClientTls) => exchange(transport, listening.port, tls)
  try {
    const good = trusted()
    await must('a TLS connection to itself', connect(good))
    const facts = served as TlsFacts | null
    if (facts?.version !== 'TLSv1.3') fail(`TLS 1.3 is not negotiated (got ${facts?.version})`)
    if (facts?.alpn !== 'http/1.1') fail(`ALPN is not answered (got ${facts?.alpn})`)
    await mustNot('a backend with an untrusted certificate', connect({ ...trusted(), caPem: null }))
    await mustNot('a backend with another name', connect({ ...trusted(), serverName: 'other.invalid' }))
    // By SPIFFE id the name does not count, and the chain does: also where both are wrong.
    const byId = { ...trusted(), serverName: 'other.invalid', checkName: false, judge: anybody }
    await must('a backend that is known by its id', connect(byId))
    const stranger = connect({ ...byId, caPem: null, session: null, native: null })
    await mustNot('a backend with an untrusted certificate, where the name does not count,', stranger)
    current = other
    await must('a TLS connection to itself', connect(good))
    if ((served as TlsFacts | null)?.resumed)
      fail('a session is resumed under other terms than it was created with')
  } finally {
    listening.close()
  }
}

function terms(name: 'intermediate' | 'modern', alpn: readonly string[]): ServerTls {
  const policy = policies[name] as Policy
  return {
    chainPem: testChainPem,
    keyPem: testKeyPem,
    minVersion: policy.minVersion,
    maxVersion: 'TLSv1.3',
    ciphers: [...policy.suites, ...policy.ciphers].join(':'),
    groups: policy.groups.join(':'),
    alpn,
    serverOrder: false,
    clients: null,
    staple: null,
    sessionContext: `self-test ${name}`,
    native: null,
  }
}

const trusted = (): ClientTls => ({
  caPem: testChainPem,
  chainPem: null,
  keyPem: null,
  serverName: testName,
  checkName: true,
  judge: null,
  verify: true,
  alpn: ['http/1.1'],
  session: null,
  native: null,
})

const anybody: PeerJudge = { problem: () => null }

const quiet: LinkHandler = { onOpen() {}, onData() {}, onDrain() {}, onEnd() {}, onClose() {} }

/** Connects, sends a byte, and resolves with null when it comes back, or with the error. */
function exchange(transport: Transport, port: number, tls: ClientTls): Promise<ProxyError | Error | null> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    const settle = (error: ProxyError | Error | null) => {
      clearTimeout(timer)
      resolve(error)
    }
    const link: Link = transport.connect(
      { address: '127.0.0.1', port, tls },
      {
        onOpen: () => void link.writeText('x'),
        onData() {
          settle(null)
          link.close()
        },
        onDrain() {},
        onEnd() {},
        onClose: error => settle(error ?? new Error('closed')),
      },
    )
  })
}

async function must(what: string, result: Promise<Error | null>): Promise<void> {
  const error = await result
  if (error !== null) fail(`${what} failed: ${error.message}`)
}

async function mustNot(what: string, result: Promise<Error | null>): Promise<void> {
  if ((await result) === null) fail(`${what} is accepted`)
}

function fail(what: string): never {
  throw new UsageError(
    `the TLS self-test failed on ${runtime.name} ${runtime.version}: ${what}. ` +
      'Sallyport does not start on a runtime whose TLS ignores its settings; use the version in package.json.',
  )
}
