/** OCSP stapling with OpenSSL as responder and as client: when a response is fetched, what stays, and what clients get. */

import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { abilities } from '../../src/base/runtime.ts'
import { readBundle } from '../../src/certs/files/bundle.ts'
import { mostResponseBytes } from '../../src/certs/x509/ocsp.ts'
import type { ConfigInput } from '../../src/config/config.ts'
import { Staples, type Stapling, staplingOf } from '../../src/gateway/certificates/staples.ts'
import {
  type IssuedFiles,
  intermediateCa,
  issueFiles,
  rootCa,
  temporaryFolder,
  testCa,
} from '../harness/certificates.ts'
import { startGateway } from '../harness/gateway.ts'
import { ocspResponder, opensslResponse, type Responder, type ResponseOptions } from '../harness/ocsp-responder.ts'
import { until } from '../harness/until.ts'

const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed'
const root = rootCa()
const ca = intermediateCa(root)
const minute = 60_000
let responder: Responder

before(async () => {
  responder = await ocspResponder()
})
after(() => responder.close())

const says = (leaf: IssuedFiles, options: ResponseOptions = {}) => {
  responder.answer = async (request, response) => {
    response.end(await opensslResponse(ca, leaf, request, options))
  }
}

describe('staples', { skip: skip || (abilities.stapling ? false : 'this runtime staples nothing') }, () => {
  function staples(leaf: IssuedFiles, clock: { ms: number }, state: string) {
    const warnings: string[] = []
    const stapling = staplingOf(readBundle(leaf).bundle, true, text => warnings.push(text)) as Stapling
    const all = new Staples(() => clock.ms)
    const use = new Set<string>()
    const staple = all.of(stapling, state, use, text => warnings.push(text))
    all.start(use)
    all.stop()
    return { all, staple, warnings, fetched: () => all.refresh() }
  }
  const issue = () => issueFiles(ca, ['a.test'], { ocspUrl: responder.url })

  it('are fetched once, again at half life, kept in the state folder, and good after a restart', async () => {
    const leaf = issue()
    const state = temporaryFolder()
    const clock = { ms: Date.now() }
    says(leaf)
    const asked = responder.asked
    const one = staples(leaf, clock, state)
    assert.equal(one.staple.current(), null)
    await until(() => one.staple.current() !== null)
    clock.ms += 29 * minute
    await one.fetched()
    assert.equal(responder.asked, asked + 1)
    const [file] = readdirSync(path.join(state, 'ocsp'))
    assert.match(file as string, /^[0-9a-f]{64}\.der$/)
    assert.equal(statSync(path.join(state, 'ocsp', file as string)).mode & 0o777, 0o600)
    const again = staples(leaf, clock, state)
    assert.deepEqual(again.staple.current(), one.staple.current())
    assert.equal(responder.asked, asked + 1)
    clock.ms += 5 * minute
    await one.fetched()
    assert.equal(responder.asked, asked + 2)
    assert.deepEqual([...one.warnings, ...again.warnings], [])
  })

  it('stay until they end when the responder fails in any way, and it is asked again more and more seldom', async () => {
    const leaf = issue()
    const clock = { ms: Date.now() }
    const hour = 60 * minute
    says(leaf, { minutes: 1000 * 60 })
    const one = staples(leaf, clock, temporaryFolder())
    await until(() => one.staple.current() !== null)
    const good = one.staple.current()
    const other = testCa('Other')
    const bad: [string, RegExp][] = [
      ['revoked', /THE CERTIFICATE IS REVOKED; the last one stays until/],
      ['signer', /not signed by the issuer/],
      ['garbage', /not an OCSP response/],
      ['oversized', /the answer is over/],
      ['endless', /the answer is over/],
      ['redirect', /the responder answered 302/],
      ['gone', /the responder answered 503/],
    ]
    clock.ms += 560 * hour
    for (const [at, [kind, why]] of bad.entries()) {
      if (kind === 'revoked') says(leaf, { revoked: true, minutes: 1000 * 60 })
      else if (kind === 'signer') says(leaf, { signer: other })
      else
        responder.answer = (_request, response) => {
          if (kind === 'garbage') response.end('<html>')
          else if (kind === 'oversized') response.end(Buffer.alloc(mostResponseBytes + 1))
          else if (kind === 'redirect') response.writeHead(302, { location: responder.url }).end()
          else if (kind === 'gone') response.writeHead(503).end()
          else {
            const more = () => {
              while (!response.destroyed && response.write(Buffer.alloc(65_536)));
            }
            response.on('drain', more)
            more()
          }
        }
      const { length } = one.warnings
      await one.fetched()
      assert.match(one.warnings[length] ?? 'no warning', why, kind)
      assert.equal(one.staple.current(), good)
      const { asked } = responder
      const wait = Math.min(60, 2 ** at) * minute
      clock.ms += wait - 1000
      await one.fetched()
      assert.equal(responder.asked, asked, 'not again before')
      clock.ms += wait / 10 + 1000
    }
    clock.ms += 440 * hour
    assert.equal(one.staple.current(), null)
    says(leaf, { minutes: 2000 * 60 })
    await one.fetched()
    assert.ok(one.staple.current() !== null)
  })

  it('are not put back by an older answer', async () => {
    const leaf = issue()
    const clock = { ms: Date.now() }
    let kept: Buffer | null = null
    responder.answer = async (request, response) => {
      kept ??= await opensslResponse(ca, leaf, request, { minutes: 600 })
      response.end(kept)
    }
    const one = staples(leaf, clock, temporaryFolder())
    await until(() => one.staple.current() !== null)
    const first = kept as Buffer | null
    // Times are whole seconds.
    const second = Math.floor(Date.now() / 1000)
    await until(() => Math.floor(Date.now() / 1000) > second)
    says(leaf, { minutes: 600 })
    clock.ms += 400 * minute
    await one.fetched()
    const newer = one.staple.current()
    assert.notDeepEqual(newer, first)
    responder.answer = (_request, response) => void response.end(first)
    clock.ms += 100 * minute
    await one.fetched()
    assert.match(one.warnings.join(), /older than the last one/)
    assert.equal(one.staple.current(), newer)
  })

  it('are shown and asked for by a clock that is corrected backwards', async () => {
    const day = 24 * 60 * minute
    const leaf = issue()
    const clock = { ms: Date.now() }
    says(leaf)
    const one = staples(leaf, clock, temporaryFolder())
    await until(() => one.staple.current() !== null)
    // What is of tomorrow is not shown today.
    clock.ms -= day
    assert.equal(one.staple.current(), null)
    clock.ms += day
    // A failure while the clock ran ahead does not put off the next try for as long.
    clock.ms += day
    responder.answer = (_request, response) => void response.writeHead(500).end()
    await one.fetched()
    clock.ms -= day
    const asked = responder.asked
    says(leaf)
    await one.fetched()
    assert.equal(responder.asked, asked + 1)
    assert.notEqual(one.staple.current(), null)
  })

  it('are not believed from a file either', async () => {
    const leaf = issue()
    const state = temporaryFolder()
    says(leaf)
    const one = staples(leaf, { ms: Date.now() }, state)
    await until(() => one.staple.current() !== null)
    const file = path.join(state, 'ocsp', readdirSync(path.join(state, 'ocsp'))[0] as string)
    const good = readFileSync(file)
    responder.answer = (_request, response) => void response.writeHead(503).end()
    for (const bytes of [good.subarray(1), Buffer.alloc(0), Buffer.alloc(1_000_000), Buffer.concat([good, good])]) {
      writeFileSync(file, bytes)
      assert.equal(staples(leaf, { ms: Date.now() }, state).staple.current(), null)
    }
    writeFileSync(file, good)
    assert.deepEqual(staples(leaf, { ms: Date.now() }, state).staple.current(), good)
    assert.equal(staples(leaf, { ms: Date.now() + 61 * minute }, state).staple.current(), null)
  })
})

/** Elsewhere there is nothing to be seen: what such a runtime says instead has tests below. */
const whereItCan = abilities.stapling ? it : () => {}

describe('a gateway', { skip }, () => {
  const site = (leaf: IssuedFiles, more: object = { ocsp: 'staple' }): ConfigInput['sites'][number] => ({
    host: 'a.test',
    certificate: { chain: leaf.chainFile, key: leaf.keyFile },
    routes: [{ respond: { body: 'ok' } }],
    ...more,
  })
  const client = (port: number, ...more: string[]): Promise<string> =>
    new Promise(resolve => {
      const words = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'a.test', '-status', ...more]
      const child = execFile('openssl', [...words, '-CAfile', root.file], (_error, out, err) => resolve(out + err))
      child.stdin?.end()
    })

  whereItCan(
    'staples what is good, to clients that ask, over TLS 1.2 and 1.3, and at once after a restart',
    async () => {
      const leaf = issueFiles(ca, ['a.test'], { ocspUrl: responder.url, mustStaple: true })
      const state = temporaryFolder('sallyport-state-')
      says(leaf)
      const first = await startGateway({ state, sites: [site(leaf)] })
      // Clients insist on it: the start has waited.
      for (const version of ['-tls1_2', '-tls1_3']) {
        const said = await client(first.port, version)
        assert.match(said, /OCSP Response Status: successful[\s\S]*Cert Status: good/)
        assert.match(said, /Verify return code: 0 \(ok\)/)
      }
      await first.stop()
      responder.answer = (_request, response) => void response.writeHead(503).end()
      const second = await startGateway({ state, sites: [site(leaf)] })
      assert.match(await client(second.port), /Cert Status: good/)
      await second.stop()
    },
  )

  whereItCan('serves without one while a responder is slow, and never staples what is revoked', async () => {
    const leaf = issueFiles(ca, ['a.test'], { ocspUrl: responder.url })
    responder.answer = () => {}
    const slow = await startGateway({ sites: [site(leaf)] })
    assert.match(await client(slow.port), /OCSP response: no response sent[\s\S]*Verify return code: 0/)
    await slow.stop()
    says(leaf, { revoked: true })
    const revoked = await startGateway({ sites: [site(leaf)] })
    await revoked.logged(each => String(each['message']).includes('THE CERTIFICATE IS REVOKED; nothing is stapled'))
    assert.match(await client(revoked.port), /OCSP response: no response sent/)
    await revoked.stop()
  })

  it('staples nothing that was not asked for', async () => {
    const leaf = issueFiles(ca, ['a.test'], { ocspUrl: responder.url })
    const { asked } = responder
    const plain = await startGateway({ sites: [site(leaf, {})] })
    assert.match(await client(plain.port), /OCSP response: no response sent/)
    assert.equal(responder.asked, asked)
    await plain.stop()
  })

  it('refuses a must-staple certificate that it cannot staple', async () => {
    const ocspUrl = responder.url
    const start = (leaf: IssuedFiles, more?: object) => startGateway({ sites: [site(leaf, more)] })
    const refused = (why: RegExp) =>
      abilities.stapling ? why : /must-staple\), and bun's TLS library staples nothing/
    await assert.rejects(
      start(issueFiles(ca, ['a.test'], { mustStaple: true })),
      refused(/names no OCSP responder/),
    )
    await assert.rejects(
      start(issueFiles(ca, ['a.test'], { mustStaple: true, ocspUrl }), {}),
      refused(/its site does not say ocsp: staple/),
    )
    await assert.rejects(
      start(issueFiles(testCa(), ['a.test'], { mustStaple: true, ocspUrl })),
      refused(/its issuer is not in the chain/),
    )
  })

  it('warns where ocsp: staple has no effect, and refuses it where it makes no sense', async () => {
    const plain = await startGateway({ sites: [site(issueFiles(ca, ['a.test']))] })
    const wanted = abilities.stapling ? 'no OCSP response is stapled: it names no OCSP' : 'so this has no effect'
    await plain.logged(each => String(each['message']).includes(wanted))
    await plain.stop()
    const local = { host: 'a.test', certificate: 'local', ocsp: 'staple', to: 'http://127.0.0.1:1' } as const
    await assert.rejects(startGateway({ sites: [local] }), /the local CA has none/)
    const through = { host: 'a.test', ocsp: 'staple', passthrough: { to: '127.0.0.1:1' } } as const
    await assert.rejects(startGateway({ sites: [through] }), /staple needs a certificate of the gateway/)
  })
})
