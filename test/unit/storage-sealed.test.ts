/** Values sealed at rest: nothing readable, nothing changed unnoticed, wrong secrets found at the start, and rotation. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { describe, it } from 'node:test'
import { UsageError } from '../../src/base/errors.ts'
import type { Storage } from '../../src/model/storage.ts'
import { StorageError } from '../../src/model/storage.ts'
import { openFileStorage } from '../../src/storage/files.ts'
import { parseKeyFile, type Secret } from '../../src/storage/seal-keys.ts'
import { sealed } from '../../src/storage/sealed.ts'
import { behavesAsStorage, isKind } from '../harness/storage-behaviour.ts'

const secret: Secret = { key: Buffer.alloc(32, 1) }
const passphrase = (text: string): Secret => ({ passphrase: text })

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-sealed-'))
  try {
    await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The real cost is paid once, below: it would be ten seconds. */
const cheap = { N: 16, r: 8, p: 1 }

const openSealed = async (folder: string, own: Secret, previous: Secret[] = []): Promise<Storage> =>
  sealed(await openFileStorage(folder), own, previous, { cost: cheap })

describe('sealed files', () => {
  behavesAsStorage(async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-sealed-'))
    const open = async () => sealed(await openFileStorage(folder, { pollMs: 20 }), secret)
    const [storage, other] = [await open(), await open()]
    const close = async () => {
      await storage.close()
      await other.close()
      rmSync(folder, { recursive: true })
    }
    return { storage, other, close }
  })
})

describe('a sealed value', () => {
  it('shows nothing of itself, and no two are alike', () =>
    withFolder(async folder => {
      const storage = await openSealed(folder, passphrase('correct horse battery staple'))
      const value = Buffer.from('-----BEGIN PRIVATE KEY-----\nAAAABBBBCCCC\n')
      const seen = new Set<string>()
      for (let time = 0; time < 20; time++) {
        await storage.put('k/key.pem', value)
        const file = readFileSync(path.join(folder, 'k/key.pem'))
        assert.equal(file.length, value.length + 44)
        assert.ok(!file.includes('PRIVATE') && !file.includes('AAAA'))
        seen.add(file.toString('hex', 16))
      }
      assert.equal(seen.size, 20)
      for (const name of ['seal/keys', '~changes'])
        assert.doesNotMatch(readFileSync(path.join(folder, name), 'utf8'), /horse|PRIVATE/)
      await storage.close()
    }))

  it('is damaged when it is cut off at any byte, or any bit is another', () =>
    withFolder(async folder => {
      const storage = await openSealed(folder, secret)
      await storage.put('k', Buffer.from('hello'))
      const file = path.join(folder, 'k')
      const whole = readFileSync(file)
      for (let size = 1; size < whole.length; size++) {
        writeFileSync(file, whole.subarray(0, size))
        await assert.rejects(storage.get('k'), isKind('damaged'), `${size} bytes`)
      }
      for (let bit = 0; bit < whole.length * 8; bit++) {
        const other = Buffer.from(whole)
        other[bit >> 3]! ^= 1 << (bit & 7)
        writeFileSync(file, other)
        // The first byte is what tells that it is sealed; in the key's id it is a key that nobody has.
        const byte = bit >> 3
        if (byte === 0) assert.notEqual((await storage.get('k'))?.toString(), 'hello')
        else
          await assert.rejects(
            storage.get('k'),
            isKind(byte >= 8 && byte < 16 ? 'refused' : 'damaged'),
            `bit ${bit}`,
          )
      }
      writeFileSync(file, Buffer.concat([whole, Buffer.from('x')]))
      await assert.rejects(storage.get('k'), isKind('damaged'))
      writeFileSync(file, whole)
      assert.equal((await storage.get('k'))?.toString(), 'hello')
      await storage.close()
    }))

  it('cannot stand in for another', () =>
    withFolder(async folder => {
      const storage = await openSealed(folder, secret)
      await storage.put('a/x', Buffer.from('one'))
      await storage.put('a/y', Buffer.from('two'))
      renameSync(path.join(folder, 'a/x'), path.join(folder, 'a/y'))
      await assert.rejects(storage.get('a/y'), isKind('damaged'))
      assert.match(await storage.setAside('a/y'), /y\.damaged-/)
      assert.equal(await storage.get('a/y'), null)
      await storage.close()
    }))

  it('may have been there unsealed, and is sealed when it is next put', () =>
    withFolder(async folder => {
      const plain = await openFileStorage(folder)
      await plain.put('k', Buffer.from('from before'))
      const storage = await sealed(plain, secret)
      assert.equal((await storage.get('k'))?.toString(), 'from before')
      await storage.put('k', Buffer.from('from before'))
      assert.ok(!readFileSync(path.join(folder, 'k')).includes('before'))
      assert.equal((await storage.get('k'))?.toString(), 'from before')
      await storage.close()
    }))

  it('is too large a little sooner', () =>
    withFolder(async folder => {
      const storage = await openSealed(folder, secret)
      await storage.put('k', Buffer.alloc(1024 * 1024 - 44))
      assert.equal((await storage.get('k'))?.length, 1024 * 1024 - 44)
      await assert.rejects(storage.put('k', Buffer.alloc(1024 * 1024 - 43)), isKind('refused'))
      await storage.close()
    }))
})

describe('the secret', () => {
  it('is found to be wrong when the storage is opened, in words that do not repeat it', () =>
    withFolder(async folder => {
      await (await openSealed(folder, passphrase('the right one'))).close()
      for (const [own, previous] of [
        [passphrase('the wrong one'), []],
        [passphrase('the wrong one'), [passphrase('also wrong one'), secret]],
        [secret, []],
        [passphrase(''), []],
      ] as [Secret, Secret[]][])
        await assert.rejects(openSealed(folder, own, previous), error => {
          assert.ok(error instanceof UsageError)
          assert.match(error.message, /storage\.seal/)
          assert.doesNotMatch(error.message, /right|wrong one/)
          return true
        })
      await (await openSealed(folder, passphrase('the right one'))).close()
      assert.equal(JSON.parse(readFileSync(path.join(folder, 'seal/keys'), 'utf8')).keys.length, 1)
    }))

  it('is replaced by another, and the old one still reads', () =>
    withFolder(async folder => {
      const first = await openSealed(folder, passphrase('first'))
      await first.put('old', Buffer.from('by the first'))
      const second = await openSealed(folder, passphrase('second'), [passphrase('first')])
      await second.put('new', Buffer.from('by the second'))
      assert.equal((await second.get('old'))?.toString(), 'by the first')
      assert.equal((await second.get('new'))?.toString(), 'by the second')
      // A node that has not heard of it yet cannot read it, and does not call it damaged.
      await assert.rejects(first.get('new'), isKind('refused'))
      // One that was told beforehand can.
      const between = await openSealed(folder, passphrase('first'), [passphrase('second')])
      assert.equal((await between.get('new'))?.toString(), 'by the second')
      const third = await openSealed(folder, secret, [passphrase('second'), passphrase('first')])
      await third.put('newest', Buffer.from('by a key file'))
      for (const key of ['old', 'new', 'newest']) assert.ok(await third.get(key))
      const lone = await openSealed(folder, passphrase('second'))
      await assert.rejects(lone.get('old'), isKind('refused'))
      assert.equal((await lone.get('new'))?.toString(), 'by the second')
      for (const storage of [first, second, between, third, lone]) await storage.close()
    }))

  it('becomes one key when many open at once', () =>
    withFolder(async folder => {
      const all = await Promise.all(Array.from({ length: 4 }, () => openSealed(folder, passphrase('same'))))
      for (const [index, storage] of all.entries()) await storage.put(`k${index}`, Buffer.from('x'))
      for (const storage of all) for (const index of all.keys()) assert.ok(await storage.get(`k${index}`))
      assert.equal(JSON.parse(readFileSync(path.join(folder, 'seal/keys'), 'utf8')).keys.length, 1)
      for (const storage of all) await storage.close()
    }))

  it('is in the record whenever a value is put, or the value is not', () =>
    withFolder(async folder => {
      const file = path.join(folder, 'seal/keys')
      const inner = await openFileStorage(folder)
      const done: string[] = []
      let full = false
      const noted: Storage = {
        name: 'noted',
        get: key => inner.get(key),
        async put(key, value, options) {
          if (full && key === 'seal/keys') throw new StorageError('full', 'no room')
          done.push(key)
          await inner.put(key, value, options)
        },
        delete: key => inner.delete(key),
        list: prefix => inner.list(prefix),
        setAside: key => inner.setAside(key),
        lock: name => inner.lock(name),
        watch: () => () => {},
        close: () => inner.close(),
      }
      const storage = await sealed(noted, passphrase('one'), [], { cost: cheap })
      const record = readFileSync(file, 'utf8')
      await storage.put('a', Buffer.from('a'))
      rmSync(file)
      await Promise.all(['b', 'c'].map(key => storage.put(key, Buffer.from(key))))
      assert.deepEqual(done.slice(0, 3), ['seal/keys', 'a', 'seal/keys'])
      assert.deepEqual(done.slice(3).sort(), ['b', 'c'])
      assert.equal(readFileSync(file, 'utf8'), record)
      rmSync(file)
      full = true
      await assert.rejects(storage.put('d', Buffer.from('d')), isKind('full'))
      assert.equal(await inner.get('d'), null)
      // What was read before is read.
      assert.equal((await storage.get('b'))?.toString(), 'b')
      full = false
      await storage.put('d', Buffer.from('d'))
      assert.equal(readFileSync(file, 'utf8'), record)
      // One that was put there meanwhile stays, and ours is added.
      await (await openSealed(`${folder}-2`, passphrase('one'))).close()
      const other = readFileSync(path.join(`${folder}-2`, 'seal/keys'))
      rmSync(`${folder}-2`, { recursive: true })
      writeFileSync(file, other)
      await storage.put('e', Buffer.from('e'))
      const ids = (text: string) => JSON.parse(text).keys.map((key: { id: string }) => key.id)
      assert.deepEqual(ids(readFileSync(file, 'utf8')), [...ids(other.toString()), ...ids(record)])
      const fresh = await openSealed(folder, passphrase('one'))
      for (const key of ['a', 'b', 'c', 'd', 'e']) assert.equal((await fresh.get(key))?.toString(), key)
      await fresh.put('f', Buffer.from('f'))
      assert.equal((await storage.get('f'))?.toString(), 'f')
      await fresh.close()
      await storage.close()
    }))

  it('is not known, and no value is called damaged for it, when the record becomes unreadable', () =>
    withFolder(async folder => {
      const file = path.join(folder, 'seal/keys')
      const storage = await openSealed(folder, passphrase('one'))
      await storage.put('mine', Buffer.from('mine'))
      const mine = readFileSync(file)
      rmSync(file)
      const other = await openSealed(folder, passphrase('one'))
      await other.put('theirs', Buffer.from('theirs'))
      const both = readFileSync(file)
      writeFileSync(file, 'garbage')
      assert.equal((await storage.get('mine'))?.toString(), 'mine')
      await assert.rejects(storage.get('theirs'), isKind('refused'))
      await assert.rejects(storage.put('mine', Buffer.from('x')), isKind('refused'))
      assert.equal(readFileSync(file, 'utf8'), 'garbage')
      // Whatever is restored, nothing is lost that anybody knows.
      for (const text of [mine, both]) {
        writeFileSync(file, text)
        await storage.put('mine', Buffer.from('mine'))
        await other.put('theirs', Buffer.from('theirs'))
        assert.equal((await storage.get('theirs'))?.toString(), 'theirs')
        assert.equal((await other.get('mine'))?.toString(), 'mine')
      }
      await other.close()
      await storage.close()
    }))

  it('is not looked for in a record that is damaged or asks for too much', () =>
    withFolder(async folder => {
      await (await openSealed(folder, passphrase('one'))).close()
      const file = path.join(folder, 'seal/keys')
      const good = readFileSync(file, 'utf8')
      const record = JSON.parse(good)
      const bad = [
        '',
        'null',
        good.slice(0, -10),
        JSON.stringify({ ...record, version: 2 }),
        ...[
          { N: 2 ** 24 },
          { N: 65_535 },
          { r: 2 ** 22 },
          { p: 1_000 },
          { salt: '' },
          { salt: 'zz' },
          { id: '../..' },
          { N: -2 },
        ].map(change => JSON.stringify({ ...record, keys: [{ ...record.keys[0], ...change }] })),
      ]
      for (const text of bad) {
        writeFileSync(file, text)
        await assert.rejects(openSealed(folder, passphrase('one')), isKind('damaged'), text)
        assert.equal(readFileSync(file, 'utf8'), text)
      }
      writeFileSync(file, good)
      const storage = await openSealed(folder, passphrase('one'))
      for (const act of ['put', 'delete', 'setAside'] as const)
        await assert.rejects(async () => storage[act]('seal/keys', Buffer.from('x')), RangeError)
      await storage.close()
    }))

  it('costs a guess 64 MB and more where nobody says otherwise, and is read by the cost in the record', () =>
    withFolder(async folder => {
      const storage = await sealed(await openFileStorage(folder), passphrase('dear'))
      await storage.put('k', Buffer.from('x'))
      await storage.close()
      const [{ N, r, p }] = JSON.parse(readFileSync(path.join(folder, 'seal/keys'), 'utf8')).keys
      assert.ok(128 * N * r >= 64 * 1024 * 1024 && p >= 2)
      const again = await openSealed(folder, passphrase('dear'))
      assert.equal((await again.get('k'))?.toString(), 'x')
      await again.close()
    }))

  it('waits for a storage that is away at the start', () =>
    withFolder(async folder => {
      const inner = await openFileStorage(folder)
      let away = true
      const flaky: Storage = {
        ...inner,
        name: 'flaky',
        async get(key) {
          if (away) throw new StorageError('away', 'not now')
          return inner.get(key)
        },
        put: (key, value, options) => inner.put(key, value, options),
        lock: name => inner.lock(name),
        watch: (prefix, changed) => inner.watch(prefix, changed),
        close: () => inner.close(),
      }
      const storage = await sealed(flaky, passphrase('one'), [], { cost: cheap })
      await assert.rejects(storage.put('k', Buffer.from('x')), isKind('away'))
      await assert.rejects(storage.get('k'), isKind('away'))
      away = false
      await storage.put('k', Buffer.from('x'))
      assert.equal((await storage.get('k'))?.toString(), 'x')
      await storage.close()
      assert.ok(readdirSync(folder).includes('seal'))
    }))
})

describe('a key file', () => {
  it('is 32 bytes, raw, in hex or in base64', () => {
    const key = Buffer.from(Array.from({ length: 32 }, (_, index) => (index * 37) & 255))
    for (const content of [
      key,
      key.toString('hex'),
      `${key.toString('hex').toUpperCase()}\n`,
      `${key.toString('base64')}\n`,
      key.toString('base64url'),
    ])
      assert.deepEqual(parseKeyFile(Buffer.from(content), 'seal.key'), key)
    for (const content of [
      '',
      'short',
      'x'.repeat(33),
      key.subarray(1),
      `${key.toString('hex')}00`,
      key.toString('base64').slice(4),
    ])
      assert.throws(
        () => parseKeyFile(Buffer.from(content), 'seal.key'),
        /seal\.key: not a key of 32 bytes.*openssl rand/,
      )
  })
})
