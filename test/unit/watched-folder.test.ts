/** A folder of certificates: what is found in it, what is chosen for a name, and what others can put there. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { describe, test } from 'node:test'
import { UsageError } from '../../src/base/errors.ts'
import { scanFolder } from '../../src/certs/files/folder-scan.ts'
import { WatchedFolder } from '../../src/certs/files/watched-folder.ts'
import { type IssuedFiles, issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'

const ca = testCa()
const issue = (names: string[], days = 30, more = {}): IssuedFiles => issueFiles(ca, names, { days, ...more })

function put(folder: string, chain: string, key: string, files: IssuedFiles): void {
  mkdirSync(path.dirname(path.join(folder, chain)), { recursive: true })
  writeFileSync(path.join(folder, chain), files.chainPem)
  writeFileSync(path.join(folder, key), files.keyPem)
}

const chosen = (folder: WatchedFolder, name: string): string[] =>
  folder.find(name).map(bundle => path.relative(folder.folder, bundle.source))

let clock = Date.now()

/** Looks at the folder, and at its pairs, as the gateway does, a minute after the last time. */
function look(folder: WatchedFolder): string[] {
  const now = (clock += 60_000)
  const kinds: string[] = folder.look(now).map(change => change.kind)
  for (const { pair, gone } of folder.members.values()) {
    if (gone) continue
    const { kind } = pair.look(now)
    if (kind === 'replaced') folder.touch(pair)
    if (kind !== 'same') kinds.push(kind)
  }
  folder.look((clock += 60_000))
  return kinds
}

describe('in a folder are found', () => {
  test('pairs by the names of their files, and nothing else', () => {
    const folder = temporaryFolder()
    const files = issue(['a.test'])
    put(folder, 'a.crt', 'a.key', files)
    put(folder, 'b.pem', 'b.key', files)
    put(folder, 'c.cer', 'c.key', files)
    put(folder, 'd.pem', 'd.pem.key', files)
    writeFileSync(path.join(folder, 'both.pem'), files.keyPem + files.chainPem)
    put(folder, 'tls.crt', 'tls.key', files)
    put(folder, 'live/example/fullchain.pem', 'live/example/privkey.pem', files)
    for (const name of ['ca.crt', 'cert.pem', 'chain.pem', 'README', 'dhparam.pem', '.hidden.crt', '.hidden.key'])
      writeFileSync(path.join(folder, name), files.chainPem)
    writeFileSync(path.join(folder, 'lonely.key'), files.keyPem)
    const { pairs, folders } = scanFolder(folder, new Map())
    const names = pairs.map(pair => [path.basename(pair.chainFile), path.basename(pair.keyFile)].join(' '))
    assert.deepEqual(names.sort(), [
      'a.crt a.key',
      'b.pem b.key',
      'both.pem both.pem',
      'c.cer c.key',
      'd.pem d.pem.key',
      'tls.crt tls.key',
    ])
    assert.deepEqual(folders, [path.join(folder, 'live')])
    // Inner folders one level deep: live/example is found from live.
    assert.equal(new WatchedFolder(path.join(folder, 'live')).members.size, 1)
    assert.equal(new WatchedFolder(folder).members.size, 6)
  })

  test('secrets of Kubernetes, once', () => {
    const folder = temporaryFolder()
    put(folder, 'shop/..2026/tls.crt', 'shop/..2026/tls.key', issue(['shop.test']))
    symlinkSync('..2026', path.join(folder, 'shop', '..data'))
    for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, path.join(folder, 'shop', name))
    const watched = new WatchedFolder(folder)
    assert.equal(watched.members.size, 1)
    assert.deepEqual(chosen(watched, 'shop.test'), ['shop/tls.crt'])
  })
})

describe('for a name is chosen', () => {
  test('the exact one before the wildcard, ECDSA and RSA side by side, the later end among equals', () => {
    const folder = temporaryFolder()
    put(folder, 'wild.crt', 'wild.key', issue(['*.b.test'], 300))
    put(folder, 'short.crt', 'short.key', issue(['a.b.test'], 20))
    put(folder, 'long.crt', 'long.key', issue(['a.b.test'], 40))
    put(folder, 'rsa.crt', 'rsa.key', issue(['a.b.test'], 30, { rsa: true }))
    const watched = new WatchedFolder(folder)
    assert.deepEqual(chosen(watched, 'a.b.test').sort(), ['long.crt', 'rsa.crt'])
    assert.deepEqual(chosen(watched, 'x.b.test'), ['wild.crt'])
    assert.deepEqual(chosen(watched, 'x.y.b.test'), [])
    assert.deepEqual(chosen(watched, 'b.test'), [])
    const superseded = [...watched.members.values()].filter(member => watched.superseded(member))
    assert.deepEqual(
      superseded.map(({ pair }) => path.basename(pair.files.chainFile)),
      ['short.crt'],
    )
    assert.ok(watched.covers('a.b.test') && watched.covers('*.b.test') && !watched.covers('*.a.test'))
  })

  test('what is valid before what has ended, and what has ended before nothing', () => {
    const folder = temporaryFolder()
    put(folder, 'old.crt', 'old.key', issue(['a.b.test'], 0, { expired: true }))
    const watched = new WatchedFolder(folder)
    assert.deepEqual(chosen(watched, 'a.b.test'), ['old.crt'])
    put(folder, 'wild.crt', 'wild.key', issue(['*.b.test']))
    look(watched)
    assert.deepEqual(chosen(watched, 'a.b.test'), ['wild.crt'])
  })
})

describe('while it is watched', () => {
  test('what is added, changed and removed counts', () => {
    const folder = temporaryFolder()
    put(folder, 'a.crt', 'a.key', issue(['a.test']))
    const watched = new WatchedFolder(folder)
    put(folder, 'b.crt', 'b.key', issue(['b.test']))
    assert.deepEqual(look(watched), ['added'])
    assert.deepEqual(chosen(watched, 'b.test'), ['b.crt'])
    put(folder, 'sub/tls.crt', 'sub/tls.key', issue(['c.test']))
    look(watched)
    assert.deepEqual(chosen(watched, 'c.test'), ['sub/tls.crt'])
    put(folder, 'b.crt', 'b.key', issue(['d.test']))
    assert.deepEqual(look(watched), ['replaced'])
    assert.deepEqual(chosen(watched, 'b.test'), [])
    assert.deepEqual(chosen(watched, 'd.test'), ['b.crt'])
    // Another has its names: it goes.
    put(folder, 'b2.crt', 'b2.key', issue(['d.test'], 10))
    look(watched)
    for (const name of ['b.crt', 'b.key']) rmSync(path.join(folder, name))
    assert.deepEqual(look(watched), ['removed'])
    assert.deepEqual(chosen(watched, 'd.test'), ['b2.crt'])
  })

  test('the last one for a name stays in force when its files go, until another has the name', () => {
    const folder = temporaryFolder()
    put(folder, 'a.crt', 'a.key', issue(['a.test']))
    const watched = new WatchedFolder(folder)
    for (const name of ['a.crt', 'a.key']) rmSync(path.join(folder, name))
    assert.deepEqual(look(watched), ['stays'])
    assert.deepEqual(look(watched), [])
    assert.deepEqual(chosen(watched, 'a.test'), ['a.crt'])
    put(folder, 'new.crt', 'new.key', issue(['*.test'], 5))
    assert.deepEqual(look(watched).sort(), ['added', 'removed'])
    assert.deepEqual(chosen(watched, 'a.test'), ['new.crt'])
  })

  test('a folder that is gone, or comes back, loses nothing', () => {
    const folder = path.join(temporaryFolder(), 'certs')
    put(folder, 'a.crt', 'a.key', issue(['a.test']))
    put(folder, 'sub/b.crt', 'sub/b.key', issue(['b.test']))
    const watched = new WatchedFolder(folder)
    renameSync(folder, `${folder}.away`)
    assert.deepEqual(
      watched.look((clock += 60_000)).map(change => change.kind),
      ['problem'],
    )
    assert.deepEqual(chosen(watched, 'a.test'), ['a.crt'])
    renameSync(`${folder}.away`, folder)
    look(watched)
    assert.deepEqual(chosen(watched, 'b.test'), ['sub/b.crt'])
    assert.throws(() => new WatchedFolder(`${folder}/nothing`), UsageError)
    assert.throws(() => new WatchedFolder(path.join(folder, 'a.crt')), /is not a folder/)
  })

  test('a broken pair is left out, told, and used once it is whole', () => {
    const folder = temporaryFolder()
    put(folder, 'a.crt', 'a.key', issue(['a.test']))
    const next = issue(['b.test'])
    put(folder, 'b.crt', 'b.key', next)
    truncateSync(path.join(folder, 'b.crt'), 300)
    const watched = new WatchedFolder(folder)
    assert.deepEqual(chosen(watched, 'b.test'), [])
    assert.ok([...look(watched), ...look(watched)].includes('broken'))
    put(folder, 'b.crt', 'b.key', next)
    assert.ok(look(watched).includes('replaced'))
    assert.deepEqual(chosen(watched, 'b.test'), ['b.crt'])
  })

  test('one that lies (the key of another) is found out before it is shown', () => {
    const folder = temporaryFolder()
    put(folder, 'good.crt', 'good.key', issue(['a.test'], 5))
    const [one, two] = [issue(['a.test'], 50), issue(['a.test'])]
    put(folder, 'liar.crt', 'liar.key', { ...one, keyPem: two.keyPem })
    const watched = new WatchedFolder(folder)
    assert.deepEqual(chosen(watched, 'a.test'), ['good.crt'])
  })
})

describe('what others put there', () => {
  test('FIFOs, sockets, links in circles, devices and huge files neither block nor fill memory', async () => {
    const folder = temporaryFolder()
    put(folder, 'a.crt', 'a.key', issue(['a.test']))
    for (const name of ['fifo.pem', 'x.crt', 'x.key']) spawnSync('mkfifo', [path.join(folder, name)])
    const server = net.createServer().listen(path.join(folder, 'socket.pem'))
    await new Promise(resolve => server.once('listening', resolve))
    symlinkSync('circle.crt', path.join(folder, 'circle.crt'))
    symlinkSync('circle.key', path.join(folder, 'circle.key'))
    symlinkSync('fifo.pem', path.join(folder, 'linked.pem'))
    symlinkSync('/dev/zero', path.join(folder, 'zero.crt'))
    symlinkSync('/dev/zero', path.join(folder, 'zero.key'))
    symlinkSync('.', path.join(folder, 'self'))
    symlinkSync('/', path.join(folder, 'root'))
    symlinkSync('..', path.join(folder, 'up'))
    for (const name of ['huge.pem', 'h.crt', 'h.key']) {
      writeFileSync(path.join(folder, name), '')
      truncateSync(path.join(folder, name), 20 * 1024 ** 3)
    }
    const watched = new WatchedFolder(folder)
    assert.deepEqual(chosen(watched, 'a.test'), ['a.crt'])
    look(watched)
    assert.deepEqual(chosen(watched, 'a.test'), ['a.crt'])
    await new Promise(resolve => server.close(resolve))
  })

  test('more files of junk than are ever looked at are looked at in part, and not again while nothing changes', () => {
    const folder = temporaryFolder()
    for (let at = 0; at < 1_100; at++) symlinkSync('nothing', path.join(folder, `junk${at}.crt`))
    const scan = scanFolder(folder, new Map(), 1_000)
    assert.deepEqual(scan.problems, [`${folder}: has more than 1000 entries; the rest is not looked at`])
    assert.deepEqual(scanFolder(folder, new Map(), 1_100).problems, [])
    const past = new Date(Date.now() - 60_000)
    utimesSync(folder, past, past)
    const watched = new WatchedFolder(folder)
    const changes = watched.look((clock += 60_000))
    assert.ok(changes.every(change => change.kind === 'problem'))
    assert.equal(watched.members.size, 0)
  })
})
