/** Who is revoked by which list: scope, age and chain, and where lists come from while files, servers and clocks change. */
import assert from 'node:assert/strict'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { WatchedCas } from '../../src/certs/files/watched-cas.ts'
import { buildCertificate } from '../../src/certs/x509/x509-build.ts'
import { CrlSources } from '../../src/gateway/certificates/crl-sources.ts'
import { clientTerms } from '../../src/gateway/clients.ts'
import type { ClientTerms } from '../../src/model/client-identity.ts'
import { ask } from '../harness/ask.ts'
import {
  type IssuedFiles,
  intermediateCa,
  issueClientFiles,
  rootCa,
  type TestCa,
  testCa,
} from '../harness/certificates.ts'
import { crlFileOf, crlOf, distributionPoint, issuingPoint } from '../harness/crl.ts'
import { startGateway } from '../harness/gateway.ts'
import { listServer } from '../harness/list-server.ts'
import { eventually } from '../harness/until.ts'

const dayMs = 86_400_000
const staff = testCa('Staff')
const [alice, carol] = [issueClientFiles(staff, 'alice'), issueClientFiles(staff, 'carol')]
const chainOf = ({ chainPem }: { chainPem: string }) =>
  (chainPem.match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----/g) ?? []).map(pem => new X509Certificate(pem).raw)

type Made = { terms: ClientTerms; warnings: string[]; sources: CrlSources }

function termsOf(cas: readonly TestCa[], crl: string[], sources = new CrlSources()): Made {
  const warnings: string[] = []
  const attempt = sources.attempt(text => warnings.push(text))
  const ca = cas.map(({ file }) => file)
  const config = { mode: 'require' as const, ca, crl, forward: [], allow: [], weak: 'refuse' as const }
  const terms = clientTerms(
    config,
    ca.map(file => new WatchedCas(file).current),
    attempt,
  )
  sources.keepOnly(attempt.used)
  return { terms, warnings, sources }
}

const refusal = ({ terms }: Made, who: { chainPem: string }, now = Date.now()) =>
  terms.refusal(terms.read(chainOf(who), true), now)

describe('the scope of a list', () => {
  const of = (ca: TestCa, who: IssuedFiles, ...lists: Buffer[]) => refusal(termsOf([ca], lists.map(crlFileOf)), who)

  it('for leaves only judges leaves', () => {
    const list = (revoked: string[]) => crlOf(staff, revoked, { extensions: [issuingPoint([1])] })
    assert.equal(of(staff, alice, list([])), null)
    assert.match(String(of(staff, carol, list([carol.chainPem]))), /is revoked/)
  })

  it('of a distribution point judges the certificates that name it, or none, and refuses the others', () => {
    const at = (url: string) => issueClientFiles(staff, 'dora', { extensions: [distributionPoint(url)] })
    const [one, two] = [at('http://ca.test/1.crl'), at('http://ca.test/2.crl')]
    const part = (url: string, revoked: string[] = [], ends = 1) =>
      crlOf(staff, revoked, { extensions: [issuingPoint([], [url])], ends })
    const [first, second] = [part('http://ca.test/1.crl'), part('http://ca.test/2.crl')]
    assert.equal(of(staff, one, first), null)
    assert.equal(of(staff, alice, first), null)
    assert.match(String(of(staff, two, first)), /another distribution point/)
    assert.equal(of(staff, two, first, second), null)
    assert.match(String(of(staff, two, first, part('http://ca.test/2.crl', [two.chainPem]))), /is revoked/)
    const ended = part('http://ca.test/2.crl', [], -0.5)
    assert.match(String(of(staff, two, first, ended)), /has ended/)
    assert.match(String(of(staff, alice, first, ended)), /has ended/)
    assert.equal(of(staff, one, first, ended), null)
    assert.equal(of(staff, alice, first, ended, crlOf(staff, [])), null)
  })

  it('that cannot be used is refused when the configuration is read', () => {
    const delta = crlFileOf(crlOf(staff, [], { extensions: [issuingPoint([2])] }))
    assert.throws(() => termsOf([staff], [delta]), /for certificates of CAs only/)
  })
})

describe('CAs between a client and the root', () => {
  const root = rootCa('Root')
  const mid = intermediateCa(root, 'Mid')
  const dave = issueClientFiles(mid, 'dave')
  const ofMid = crlFileOf(crlOf(mid, []))
  const ofRoot = (revoked: string[], options = {}) => crlFileOf(crlOf(root, revoked, options))

  it('are judged by the lists of theirs, where there are any', () => {
    const of = (...lists: string[]) => refusal(termsOf([root, mid], lists), dave)
    assert.equal(of(ofMid), null)
    assert.equal(of(ofMid, ofRoot([])), null)
    assert.match(String(of(ofMid, ofRoot([mid.certificatePem]))), /a CA above it, .* is revoked/)
    assert.match(String(of(ofMid, ofRoot([], { ends: -0.5 }))), /the CRL of the issuer of a CA above it has ended/)
    assert.match(String(of(ofRoot([]))), /no CRL of its issuer/)
    // A list that is for leaves only says nothing of them.
    assert.equal(of(ofMid, ofRoot([mid.certificatePem], { extensions: [issuingPoint([1])] })), null)
  })

  it('are not passed over for others that the client sends', () => {
    const made = termsOf([root, mid], [ofMid, ofRoot([mid.certificatePem])])
    const forged = (signingKey: TestCa['key']) =>
      buildCertificate({
        subject: { organization: 'Sallyport tests', commonName: 'Mid' },
        issuer: mid.subjectDer,
        publicKey: createPublicKey(signingKey.export({ type: 'pkcs8', format: 'pem' })),
        signingKey,
        notBefore: Date.now() - dayMs,
        notAfter: Date.now() + dayMs,
        isCa: true,
        // As a forger would: only the signature tells.
        subjectKeyId: mid.keyId,
        authorityKeyId: mid.keyId,
        keyUsage: ['keyCertSign'],
      }).pem
    const leaf = new X509Certificate(dave.chainPem).toString()
    for (const key of [mid.key, testCa('Mid').key]) {
      const chainPem = leaf + forged(key)
      assert.match(String(refusal(made, { chainPem })), /a CA above it, .* is revoked/)
    }
    // One with the right name and another key is not taken for the issuer either.
    const { issuerFingerprint } = made.terms.read(chainOf({ chainPem: leaf + forged(testCa('Mid').key) }), false)
    assert.equal(
      issuerFingerprint,
      new X509Certificate(mid.certificatePem).fingerprint256.replaceAll(':', '').toLowerCase(),
    )
    const many = Array.from({ length: 15 }, () => forged(mid.key)).join('')
    assert.throws(() => refusal(made, { chainPem: leaf + many }), /too many certificates|too long/)
  })

  it('are none where a client is its own; there must be a list for it as for any other', () => {
    const own = testCa('Own')
    const who = { chainPem: own.certificatePem }
    assert.match(String(refusal(termsOf([own, staff], [crlFileOf(crlOf(staff, []))]), who)), /no CRL of its issuer/)
    assert.match(String(refusal(termsOf([own], [crlFileOf(crlOf(own, [own.certificatePem]))]), who)), /is revoked/)
  })

  it('that are not known, on a resumed session, refuse where a list may be about them', () => {
    const chain = { chainPem: new X509Certificate(dave.chainPem).toString() }
    const lone = { ...mid, file: mid.file }
    // The root's list is verified by it, and the way there is missing without the intermediate.
    const top = rootCa('Top')
    assert.equal(refusal(termsOf([lone, top], [ofMid]), chain), null)
    const made = termsOf([lone, top], [ofMid, crlFileOf(crlOf(top, []))])
    assert.match(String(refusal(made, chain)), /put all of them into clients\.ca/)
  })

  it('at the gateway: none of their clients gets in, and those of the others do', async () => {
    const other = intermediateCa(root, 'Other')
    const erin = issueClientFiles(other, 'erin')
    const gateway = await startGateway({
      sites: [
        {
          host: 'in.test',
          certificate: 'local',
          clients: {
            ca: [root.file, mid.file, other.file],
            crl: [ofRoot([mid.certificatePem]), ofMid, crlFileOf(crlOf(other, []))],
          },
          routes: [{ respond: { body: 'in' } }],
        },
      ],
    })
    const status = (who: IssuedFiles) =>
      ask('HTTP/1.1', gateway.port, {
        host: 'in.test',
        tls: { ca: gateway.caPem, cert: who.chainPem, key: who.keyPem },
      }).then(
        answer => answer.status,
        () => 0,
      )
    assert.notEqual(await status(dave), 200)
    assert.equal(await status(erin), 200)
    const record = await gateway.logged(each => each['error'] === 'CLIENT_CERTIFICATE')
    assert.match(JSON.stringify(record), /a CA above it/)
    await gateway.stop()
  })
})

describe('an older list', () => {
  const older = crlOf(staff, [], { number: 5, begins: -2 })
  const newer = crlOf(staff, [carol.chainPem], { number: 7, ends: 3 })
  const replace = (file: string, bytes: Uint8Array) => {
    writeFileSync(`${file}.new`, bytes)
    renameSync(`${file}.new`, file)
  }

  it('in a file does not take the place of a newer one; that is said once; a newer one does', async () => {
    const file = crlFileOf(newer)
    const made = termsOf([staff], [file])
    assert.match(String(refusal(made, carol)), /is revoked/)
    replace(file, older)
    await eventually('it is said', () => {
      refusal(made, alice)
      return made.warnings.length > 0
    })
    assert.match(made.warnings.join(), /\(number 5, .*is older than .*number 7, .*which stays in use/)
    assert.match(String(refusal(made, carol)), /is revoked/)
    replace(file, crlOf(staff, [alice.chainPem], { number: 8 }))
    await eventually('the newer one counts', () => refusal(made, alice) !== null)
    assert.equal(refusal(made, carol), null)
    assert.equal(made.warnings.length, 1)
  })

  it('goes by its day where one has no number, and is taken where the newer one has ended', async () => {
    const file = crlFileOf(crlOf(staff, [carol.chainPem], { begins: -1, ends: 0.0001 }))
    const sources = new CrlSources()
    const made = termsOf([staff], [file], sources)
    replace(file, crlOf(staff, [], { begins: -2 }))
    termsOf([staff], [file], sources)
    assert.match(String(refusal(made, carol)), /is revoked/)
    assert.match(made.warnings.join(), /is older than/)
    const ends = Date.now() + 20_000
    replace(file, crlOf(staff, [], { begins: -3 }))
    await eventually('it is taken', () => refusal(made, carol, ends) === null)
  })

  it('from a URL does not either, nor does an answer without the list of a CA', async () => {
    const server = await listServer(newer)
    const root = rootCa('Staff root')
    const made = termsOf([staff, root], [server.url])
    await eventually('it is fetched', () => /revoked/.test(String(refusal(made, carol))))
    const later = Date.now() + 2.5 * dayMs
    server.serve(crlOf(staff, [], { number: 5, begins: -2, ends: 4 }))
    refusal(made, carol, later)
    await eventually('it is said', () => made.warnings.length > 0)
    assert.match(made.warnings.join(), /is older than/)
    assert.match(String(refusal(made, carol, later)), /is revoked/)
    server.serve(crlOf(root, []))
    refusal(made, carol, later + dayMs / 3)
    await eventually('that too', () => made.warnings.length > 1)
    assert.match(String(made.warnings[1]), /was removed; it stays in use/)
    assert.match(String(refusal(made, carol, later + dayMs / 3)), /is revoked/)
    await server.close()
  })
})

describe('a clock', () => {
  it('that is set back does not hide a new file', async () => {
    const file = crlFileOf(crlOf(staff, [], { number: 1 }))
    const made = termsOf([staff], [file])
    assert.equal(refusal(made, carol, Date.now() + 3_600_000), null)
    writeFileSync(file, crlOf(staff, [carol.chainPem], { number: 2 }))
    await eventually('it is seen', () => /revoked/.test(String(refusal(made, carol))))
  })

  it('that is set back makes a URL be asked again at once', async () => {
    const server = await listServer(crlOf(staff, [], { number: 1 }))
    const made = termsOf([staff], [server.url])
    await eventually('it is fetched', () => refusal(made, carol) === null)
    server.serve(crlOf(staff, [carol.chainPem], { number: 2 }))
    assert.equal(refusal(made, carol, Date.now() + 3_600_000), null)
    assert.equal(server.asked, 1)
    await eventually('it is seen', () => /revoked/.test(String(refusal(made, carol))))
    assert.equal(server.asked, 2)
    await server.close()
  })
})

describe('a reload', () => {
  const site = (host: string, clients: { ca: string; crl: string }) => ({
    host,
    certificate: 'local' as const,
    clients,
    routes: [{ respond: { body: 'in' } }],
  })

  it('fetches nothing that is in force, for however many sites, and needs no server of lists', async () => {
    const server = await listServer(crlOf(staff, [carol.chainPem]))
    const clients = { ca: staff.file, crl: server.url }
    const sites = ['a', 'b', 'c', 'd', 'e'].map(name => site(`${name}.test`, clients))
    const gateway = await startGateway({ sites })
    const status = (who: IssuedFiles) =>
      ask('HTTP/1.1', gateway.port, {
        host: 'c.test',
        tls: { ca: gateway.caPem, cert: who.chainPem, key: who.keyPem },
      }).then(
        answer => answer.status,
        () => 0,
      )
    await eventually('it is fetched', async () => (await status(alice)) === 200)
    server.serve(null)
    for (let count = 0; count < 3; count++) await gateway.gateway.apply(null)
    assert.equal(await status(alice), 200)
    assert.notEqual(await status(carol), 200)
    assert.equal(server.asked, 1)
    await gateway.stop()
    await server.close()
  })

  it('that fails twice from the start, with other lists, loses none', async () => {
    const server = await listServer(crlOf(staff, []))
    const gateway = await startGateway({ sites: [site('a.test', { ca: staff.file, crl: server.url })] })
    const status = () =>
      ask('HTTP/1.1', gateway.port, {
        host: 'a.test',
        tls: { ca: gateway.caPem, cert: alice.chainPem, key: alice.keyPem },
      }).then(
        answer => answer.status,
        () => 0,
      )
    await eventually('it is fetched', async () => (await status()) === 200)
    server.serve(null)
    const { config } = gateway.gateway
    const crl = [crlFileOf(crlOf(testCa('Wrong'), []))]
    const sites = config.sites.map(each => ({ ...each, clients: { ...each.clients!, crl } }))
    for (let count = 0; count < 2; count++)
      await assert.rejects(gateway.gateway.apply({ ...config, sites }), /was not signed by any/)
    await gateway.gateway.apply(null)
    assert.equal(await status(), 200)
    assert.equal(server.asked, 1)
    await gateway.stop()
    await server.close()
  })

  it('that fails loses no list and leaves none; what is not used any more is forgotten', async () => {
    const server = await listServer(crlOf(staff, []))
    const sources = new CrlSources()
    const made = termsOf([staff], [server.url], sources)
    await eventually('it is fetched', () => refusal(made, alice) === null)
    server.serve(null)
    const wrong = crlFileOf(crlOf(testCa('Wrong'), []))
    for (let count = 0; count < 5; count++) {
      const added = testCa(`Added ${count}`)
      assert.throws(() => termsOf([staff, added], [server.url, wrong], sources), /was not signed by any/)
      assert.ok(sources.size <= 3, `${sources.size} are held`)
    }
    const again = termsOf([staff], [server.url], sources)
    assert.equal(refusal(again, alice), null)
    assert.equal(sources.size, 1)
    // A CA more: what the others have signed is known, although the server is away.
    const more = termsOf([staff, testCa('More')], [server.url], sources)
    assert.equal(refusal(more, alice), null)
    assert.equal(sources.size, 1)
    termsOf([staff], [], sources)
    assert.equal(sources.size, 0)
    await server.close()
  })

  it('that is tried again with the same CAs asks a URL once', async () => {
    const server = await listServer(crlOf(staff, []))
    const sources = new CrlSources()
    const wrong = crlFileOf(crlOf(testCa('Wrong'), []))
    for (let count = 0; count < 5; count++) {
      assert.throws(() => termsOf([staff], [server.url, wrong], sources), /was not signed by any/)
      await new Promise(resolve => setImmediate(resolve))
    }
    const made = termsOf([staff], [server.url], sources)
    await eventually('it is fetched', () => refusal(made, alice) === null)
    assert.equal(server.asked, 1)
    await server.close()
  })

  it('with a file that cannot be used is refused, and what was in force stays', async () => {
    const file = crlFileOf(crlOf(staff, [carol.chainPem]))
    const sources = new CrlSources()
    const made = termsOf([staff], [file], sources)
    const good = readFileSync(file)
    writeFileSync(file, 'nothing')
    assert.throws(() => termsOf([staff], [file], sources), /is not a CRL/)
    for (let count = 0; count < 3; count++) assert.match(String(refusal(made, carol)), /is revoked/)
    assert.equal(made.warnings.length, 1)
    writeFileSync(file, good)
    assert.equal(refusal(termsOf([staff], [file], sources), alice), null)
  })
})
