/** What a pair of files does when they change, look by look: nothing but a whole, fitting pair is ever taken. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  renameSync,
  rmSync,
  type Stats,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import { describe, test } from 'node:test'
import { UsageError } from '../../src/base/errors.ts'
import { sureAfterMs } from '../../src/certs/files/problem-debounce.ts'
import { pairStamp, readStamped, stampFrom } from '../../src/certs/files/stamped.ts'
import { WatchedPair } from '../../src/certs/files/watched-pair.ts'
import { type IssuedFiles, issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'

const ca = testCa()
const [one, two] = [issueFiles(ca, ['a.test']), issueFiles(ca, ['a.test'], { days: 60 })]

function placed(files: IssuedFiles): { chainFile: string; keyFile: string } {
  const folder = temporaryFolder()
  const [chainFile, keyFile] = [path.join(folder, 'chain.pem'), path.join(folder, 'key.pem')]
  writeFileSync(chainFile, files.chainPem)
  writeFileSync(keyFile, files.keyPem)
  return { chainFile, keyFile }
}

const now = Date.now()
/** Long enough after the last look for a problem to be sure */
const after = (seconds: number) => now + seconds * (sureAfterMs + 1)

describe('looking at a pair', () => {
  test('every state of being replaced, in every order, keeps the old pair until the new one is whole', () => {
    for (const late of ['chainFile', 'keyFile'] as const) {
      const files = placed(one)
      const pair = WatchedPair.open(files)
      const early = late === 'chainFile' ? 'keyFile' : 'chainFile'
      const text = { chainFile: two.chainPem, keyFile: two.keyPem }
      for (let at = 0; at < text[early].length; at += 37) {
        writeFileSync(files[early], text[early].slice(0, at))
        assert.notEqual(pair.look(now).kind, 'replaced')
        assert.equal(pair.load().bundle.chainPem, one.chainPem)
      }
      writeFileSync(files[early], text[early])
      assert.equal(pair.look(now).kind, 'same')
      writeFileSync(files[late], text[late])
      const look = pair.look(now)
      assert.ok(look.kind === 'replaced' && look.from !== null)
      assert.equal(look.to.chainPem, two.chainPem)
      assert.equal(look.to.keyPem, two.keyPem)
      assert.ok(look.from.notAfter < look.to.notAfter)
      assert.equal(pair.load().bundle, look.to)
      assert.equal(pair.look(now).kind, 'same')
    }
  })

  test('a problem is told when it lasts, once, and another one again', () => {
    const files = placed(one)
    const pair = WatchedPair.open(files)
    truncateSync(files.keyFile, 20)
    assert.equal(pair.look(now).kind, 'same')
    assert.equal(pair.problem, null)
    const told = pair.look(after(1))
    assert.ok(told.kind === 'broken')
    assert.match(told.why, /key\.pem: holds no PEM private key/)
    assert.equal(pair.problem, told.why)
    assert.equal(pair.look(after(9)).kind, 'same')
    unlinkSync(files.keyFile)
    assert.equal(pair.look(after(10)).kind, 'same')
    const gone = pair.look(after(11))
    assert.ok(gone.kind === 'broken')
    assert.match(gone.why, /does not exist/)
    writeFileSync(files.keyFile, one.keyPem)
    assert.equal(pair.look(after(12)).kind, 'mended')
    assert.equal(pair.problem, null)
  })

  test('a problem that changes all the time is told too', () => {
    const files = placed(one)
    const pair = WatchedPair.open(files)
    const kinds = []
    for (let at = 0; at < 10; at++) {
      writeFileSync(files.keyFile, at % 2 === 0 ? 'x' : '')
      kinds.push(pair.look(now + at * 700).kind)
    }
    assert.ok(kinds.includes('broken'))
  })

  test('what is no file is never opened to wait, and never read without bound', () => {
    const files = placed(one)
    const pair = WatchedPair.open(files)
    const put: [() => void, RegExp][] = [
      [() => mkdirSync(files.chainFile), /is a folder/],
      [() => symlinkSync('chain.pem', files.chainFile), /leads in a circle/],
      [() => assert.equal(spawnSync('mkfifo', [files.chainFile]).status, 0), /not a regular file/],
      [() => symlinkSync('/dev/zero', files.chainFile), /not a regular file/],
      [
        () => {
          writeFileSync(files.chainFile, '')
          truncateSync(files.chainFile, 50 * 1024 ** 3)
        },
        /at most 1 MB/,
      ],
    ]
    let at = 0
    for (const [make, why] of put) {
      rmSync(files.chainFile, { recursive: true, force: true })
      make()
      pair.look(after(++at))
      const look = pair.look(after(++at))
      // The same words for the FIFO and the device: told once.
      assert.ok(look.kind === 'broken' || why.test(String(pair.problem)), String(why))
      assert.match(String(pair.problem), why)
      assert.equal(pair.load().bundle.chainPem, one.chainPem)
    }
    assert.throws(() => WatchedPair.open(files), UsageError)
  })

  test('one that was never loaded takes over new files, and loads those', () => {
    const files = placed(one)
    const pair = WatchedPair.open(files)
    writeFileSync(files.chainFile, two.chainPem)
    writeFileSync(files.keyFile, two.keyPem)
    assert.equal(pair.look(now).kind, 'replaced')
    assert.equal(pair.load().bundle.chainPem, two.chainPem)
  })

  test('one whose files were broken from the start fails the same way until they are good', () => {
    const files = placed(one)
    writeFileSync(files.keyFile, two.keyPem)
    const pair = WatchedPair.open(files)
    assert.throws(() => pair.load(), /does not belong to/)
    assert.throws(() => pair.load(), /does not belong to/)
    assert.equal(pair.look(now).kind, 'broken')
    writeFileSync(files.chainFile, two.chainPem)
    const look = pair.look(after(2))
    assert.ok(look.kind === 'replaced')
    assert.equal(pair.load().bundle, look.to)
  })

  test('a refresh says what is wrong at once, and changes nothing', () => {
    const files = placed(one)
    const pair = WatchedPair.open(files)
    writeFileSync(files.chainFile, two.chainPem)
    assert.throws(() => pair.refresh(), /does not belong to/)
    assert.equal(pair.load().bundle.chainPem, one.chainPem)
    writeFileSync(files.keyFile, two.keyPem)
    assert.equal(pair.refresh().kind, 'replaced')
  })

  test('a file of the same size with its times set back is seen', () => {
    const files = placed(one)
    const pair = WatchedPair.open(files)
    pair.load()
    const past = new Date(now - 3_600_000)
    for (const file of [files.chainFile, files.keyFile]) utimesSync(file, past, past)
    pair.look(now)
    for (const [file, text] of [
      [files.chainFile, two.chainPem],
      [files.keyFile, two.keyPem],
    ] as const) {
      writeFileSync(`${file}.new`, text)
      utimesSync(`${file}.new`, past, past)
      renameSync(`${file}.new`, file)
    }
    assert.equal(pair.look(now).kind, 'replaced')
  })

  test('a thousand swaps leave one pair behind', () => {
    const files = placed(one)
    const pair = WatchedPair.open(files)
    const kept: WeakRef<object>[] = []
    for (let at = 0; at < 1_000; at++) {
      const next = at % 2 === 0 ? two : one
      writeFileSync(files.chainFile, next.chainPem)
      writeFileSync(files.keyFile, next.keyPem)
      const look = pair.look(now)
      assert.ok(look.kind === 'replaced')
      kept.push(new WeakRef(look.to))
    }
    assert.equal(pair.load().bundle.chainPem, one.chainPem)
    assert.equal(Object.values(pair).flat().length, Object.keys(pair).length)
  })
})

test('a stamp follows links, and changes with what they lead to', () => {
  const folder = temporaryFolder()
  const [a, b, link] = ['a', 'b', 'link'].map(name => path.join(folder, name)) as [string, string, string]
  writeFileSync(a, 'same')
  writeFileSync(b, 'same')
  symlinkSync(a, link)
  const before = pairStamp(link, link)
  assert.equal(readStamped(link).stamp, before)
  unlinkSync(link)
  symlinkSync(b, link)
  assert.notEqual(pairStamp(link, link), before)
  unlinkSync(link)
  assert.equal(pairStamp(link, link), -constants.errno.ENOENT)
})

test('stamps of states that are hardly different are different', () => {
  const stamps = new Set<number>()
  const base = {
    dev: 2049,
    ino: 2 ** 33 + 5,
    size: 692,
    mtimeMs: 1_763_725_176_123.25,
    ctimeMs: 1_763_725_176_123.25,
  }
  const steps = [0, 2 ** -12, 0.5, 1, 2 ** 16, 2 ** 31, 2 ** 32]
  let count = 0
  for (const dev of [0, 1, 2 ** 31])
    for (const ino of steps)
      for (const size of [0, 1, 2, 256, 2 ** 20])
        for (const mtimeMs of steps)
          for (const ctimeMs of steps) {
            count++
            const found = {
              dev: base.dev + dev,
              ino: base.ino + Math.trunc(ino),
              size: base.size + size,
              mtimeMs: base.mtimeMs + mtimeMs,
              ctimeMs: base.ctimeMs + ctimeMs,
            }
            stamps.add(stampFrom(found as Stats))
          }
  // 2 ** -12 and 0.5 leave an inode what it is.
  assert.equal(stamps.size, (count / 7) * 5)
  for (const stamp of stamps) assert.ok(Number.isSafeInteger(stamp) && stamp >= 0)
})
