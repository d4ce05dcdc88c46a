/** What a file of CAs does when it changes, look by look: nothing but a whole file of readable certificates is ever taken. */
import assert from 'node:assert/strict'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { sureAfterMs } from '../../src/certs/files/problem-debounce.ts'
import { WatchedCas } from '../../src/certs/files/watched-cas.ts'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'

const [one, two] = [testCa('One'), testCa('Two')]
const both = one.certificatePem + two.certificatePem
const now = Date.now()

function placed(text: string): string {
  const file = path.join(temporaryFolder(), 'ca.pem')
  writeFileSync(file, text)
  return file
}

describe('a file of CAs', () => {
  test('is taken over when it is replaced, by rename and in place, with what is in it named', () => {
    const file = placed(`# a comment\n${one.certificatePem}`)
    const cas = new WatchedCas(file)
    assert.equal(cas.current.pem, one.certificatePem)
    assert.equal(cas.look(now).kind, 'same')
    writeFileSync(`${file}.new`, both)
    renameSync(`${file}.new`, file)
    const before = cas.current
    assert.deepEqual(cas.look(now), {
      kind: 'replaced',
      subjects: ['O=Sallyport local CA, CN=One', 'O=Sallyport local CA, CN=Two'],
    })
    assert.notEqual(cas.current, before)
    assert.equal(cas.current.pem, both)
    const same = cas.current
    writeFileSync(file, `# another comment\n${both}`)
    assert.equal(cas.look(now).kind, 'same')
    assert.equal(cas.current, same)
    writeFileSync(file, two.certificatePem)
    assert.equal(cas.look(now).kind, 'replaced')
    assert.equal(cas.current.pem, two.certificatePem)
  })

  test('cut off at any byte of its last certificate it is never taken, and is told of when that lasts', () => {
    const file = placed(one.certificatePem)
    const cas = new WatchedCas(file)
    for (let length = one.certificatePem.length + 30; length < both.trimEnd().length; length += 41) {
      writeFileSync(file, both.slice(0, length))
      assert.equal(cas.look(now).kind, 'same')
      assert.equal(cas.current.pem, one.certificatePem)
    }
    const broken = cas.look(now + 10 * sureAfterMs)
    assert.ok(broken.kind === 'broken')
    assert.match(broken.why, /ca\.pem: a certificate is cut off/)
    assert.equal(cas.look(now + 11 * sureAfterMs).kind, 'same')
    assert.throws(() => cas.refresh(now + 11 * sureAfterMs), /a certificate is cut off/)
    writeFileSync(file, one.certificatePem)
    assert.equal(cas.look(now + 12 * sureAfterMs).kind, 'mended')
    writeFileSync(file, both)
    assert.equal(cas.look(now + 12 * sureAfterMs).kind, 'replaced')
  })

  test('that is gone, empty, a key, or no certificate keeps what was; at the start it is refused', () => {
    const { keyPem } = issueFiles(one, ['a.test'])
    const damaged = one.certificatePem.replace(/^MII.{8}/m, 'MIIAAAAAAAA')
    const cases = [
      [null, /does not exist/],
      ['', /is empty/],
      [keyPem, /holds a private key and no certificate/],
      ['hello', /holds no PEM certificate/],
      [damaged, /certificate 1 cannot be read/],
    ] as const
    for (const [text, why] of cases) {
      const file = placed(one.certificatePem)
      const cas = new WatchedCas(file)
      if (text === null) rmSync(file)
      else writeFileSync(file, text)
      assert.throws(() => cas.refresh(), why)
      assert.equal(cas.current.pem, one.certificatePem)
      assert.throws(() => new WatchedCas(file), why)
    }
  })
})
