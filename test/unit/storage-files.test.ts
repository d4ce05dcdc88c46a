/** The storage in a folder: the behaviour of every storage, and what only files can have wrong with them. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { describe, it } from 'node:test'
import type { Storage } from '../../src/model/storage.ts'
import { type FileStorageOptions, openFileStorage } from '../../src/storage/files.ts'
import { behavesAsStorage, isKind } from '../harness/storage-behaviour.ts'
import { eventually } from '../harness/until.ts'

const quick: FileStorageOptions = { pollMs: 20 }

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-storage-'))
  try {
    await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Every file below, as paths from the folder. */
const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort()

describe('files', () => {
  behavesAsStorage(async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-storage-'))
    const storage = await openFileStorage(path.join(folder, 'deep/er'), quick)
    const other = await openFileStorage(path.join(folder, 'deep/er'), quick)
    const close = async () => {
      await storage.close()
      await other.close()
      rmSync(folder, { recursive: true })
    }
    return { storage, other, close }
  })
})

describe('the folder', () => {
  it('holds values as they are, 0600 in folders of 0700, and nothing beside them', () =>
    withFolder(async folder => {
      const before = process.umask(0)
      try {
        const storage = await openFileStorage(path.join(folder, 's'))
        await storage.put('certificates/a.test/bundle.pem', Buffer.from('hello'))
        await storage.put('certificates/a.test/bundle.pem', Buffer.from('hello again'))
        assert.equal(readFileSync(path.join(folder, 's/certificates/a.test/bundle.pem'), 'utf8'), 'hello again')
        assert.deepEqual(filesIn(folder), ['s/certificates/a.test/bundle.pem', 's/~changes'])
        for (const name of ['s', 's/certificates', 's/certificates/a.test'])
          assert.equal(statSync(path.join(folder, name)).mode & 0o777, 0o700, name)
        assert.equal(statSync(path.join(folder, 's/certificates/a.test/bundle.pem')).mode & 0o777, 0o600)
        await storage.delete('certificates/a.test/bundle.pem')
        assert.deepEqual(readdirSync(path.join(folder, 's')), ['~changes'])
        await storage.close()
      } finally {
        process.umask(before)
      }
    }))

  it('leads nowhere else: links are refused, and replaced only as a whole', () =>
    withFolder(async folder => {
      const root = path.join(folder, 's')
      const outside = path.join(folder, 'outside')
      const storage = await openFileStorage(root)
      mkdirSync(outside)
      writeFileSync(path.join(outside, 'secret'), 'secret')
      symlinkSync(path.join(outside, 'secret'), path.join(root, 'link'))
      symlinkSync(outside, path.join(root, 'there'))
      symlinkSync('round', path.join(root, 'round'))
      await assert.rejects(storage.get('link'), isKind('refused'))
      await assert.rejects(storage.get('there/secret'), isKind('refused'))
      await assert.rejects(storage.put('there/secret', Buffer.from('x')), isKind('refused'))
      await assert.rejects(storage.put('there/deep/er', Buffer.from('x')), isKind('refused'))
      await assert.rejects(storage.delete('there/secret'), isKind('refused'))
      await assert.rejects(storage.setAside('there/secret'), isKind('refused'))
      await assert.rejects(storage.list('there/'), isKind('refused'))
      await assert.rejects(storage.get('round'), isKind('refused'))
      await assert.rejects(storage.get('round/x'), isKind('refused'))
      await storage.put('link', Buffer.from('ours'))
      assert.equal(readFileSync(path.join(outside, 'secret'), 'utf8'), 'secret')
      assert.deepEqual(readdirSync(outside), ['secret'])
      assert.equal((await storage.get('link'))?.toString(), 'ours')
      await storage.close()
      // The folder itself may be a link: it is what the operator wrote.
      symlinkSync(root, path.join(folder, 'alias'))
      const alias = await openFileStorage(path.join(folder, 'alias'))
      assert.equal((await alias.get('link'))?.toString(), 'ours')
      await alias.close()
    }))

  it('says what is in the way: a folder for a value, a value for a folder, a pipe, too much', () =>
    withFolder(async folder => {
      const storage = await openFileStorage(folder)
      await storage.put('a/b', Buffer.from('x'))
      assert.equal(await storage.get('a'), null)
      assert.equal(await storage.get('a/b/c/d'), null)
      await assert.rejects(storage.put('a', Buffer.from('x')), isKind('refused'))
      await assert.rejects(storage.put('a/b/c', Buffer.from('x')), isKind('refused'))
      await storage.delete('a')
      await storage.delete('a/b/c')
      assert.equal((await storage.get('a/b'))?.toString(), 'x')
      execFileSync('mkfifo', [path.join(folder, 'pipe')])
      assert.equal(await storage.get('pipe'), null)
      writeFileSync(path.join(folder, 'huge'), Buffer.alloc(2_000_000))
      await assert.rejects(storage.get('huge'), isKind('damaged'))
      assert.deepEqual(
        filesIn(folder).filter(name => name.includes('.part')),
        [],
      )
      await storage.close()
    }))

  it('finds a value with a life time that was cut off', () =>
    withFolder(async folder => {
      const storage = await openFileStorage(folder)
      await storage.put('t/x', Buffer.from('value'), { ttlMs: 60_000 })
      const file = path.join(folder, 't/x')
      for (let size = statSync(file).size - 6; size >= 16; size--) {
        truncateSync(file, size)
        await assert.rejects(storage.get('t/x'), isKind('damaged'), `${size} bytes`)
      }
      assert.deepEqual(await storage.list('t/'), ['t/x'])
      assert.ok(existsSync(await storage.setAside('t/x')))
      await storage.close()
    }))

  it('is swept of values that were over long ago', () =>
    withFolder(async folder => {
      const storage = await openFileStorage(folder)
      const line = (ms: number) => `sallyport-ttl-1 ${String(Date.now() + ms).padStart(16, '0')}\nx`
      await storage.put('t/live', Buffer.from('x'))
      writeFileSync(path.join(folder, 't/over'), line(-1_000))
      writeFileSync(path.join(folder, 't/long-over'), line(-3_700_000))
      assert.deepEqual(await storage.list('t/'), ['t/live'])
      assert.deepEqual(filesIn(folder), ['t/live', 't/over', '~changes'])
      await storage.close()
    }))

  it('is cleaned, when it is opened, of what dead processes left, and of nothing else', () =>
    withFolder(async folder => {
      const storage = await openFileStorage(folder)
      const lease = await storage.lock('l')
      const held = readFileSync(path.join(folder, '~locks/l~/1'), 'latin1')
      const [where, pid, start] = held.split(' ')[1]!.split('.') as [string, string, string]
      await lease?.release()
      const rest = '0123456789abcdef.part'
      const names = {
        dead: `~${where}.4194999.${start}.${rest}`,
        again: `~${where}.${pid}.1.${rest}`,
        ours: `~${where}.${pid}.${start}.${rest}`,
        stranger: `~${'0'.repeat(16)}.1.1.${rest}`,
        oldStranger: `~${'1'.repeat(16)}.1.1.${rest}`,
        other: '~something.part',
      }
      mkdirSync(path.join(folder, 'a/b'), { recursive: true })
      for (const name of Object.values(names)) writeFileSync(path.join(folder, 'a/b', name), 'half')
      const old = Date.now() / 1000 - 7_200
      utimesSync(path.join(folder, 'a/b', names.oldStranger), old, old)
      await (await openFileStorage(folder)).close()
      assert.deepEqual(
        readdirSync(path.join(folder, 'a/b')).sort(),
        [names.ours, names.stranger, names.other].sort(),
      )
      await storage.close()
    }))

  it('tells of a file that a person put there', () =>
    withFolder(async folder => {
      const storage = await openFileStorage(folder, { pollMs: 20, compareMs: 50 })
      await storage.put('w/a', Buffer.from('x'))
      await storage.put('w/b', Buffer.from('x'))
      const told: (string | null)[] = []
      storage.watch('w/', key => told.push(key))
      // The first comparison has been made when a change is noticed by it.
      await eventually('the changed one is told', () => {
        writeFileSync(path.join(folder, 'w/a'), `by hand ${performance.now()}`)
        return told.includes('w/a')
      })
      rmSync(path.join(folder, 'w/b'))
      await eventually('the removed one is told', () => told.includes('w/b'))
      assert.ok(!told.includes(null))
      await storage.close()
    }))

  it('tells of everything when the journal is another, or unreadable', () =>
    withFolder(async folder => {
      const storage = await openFileStorage(folder, quick)
      await storage.put('w/a', Buffer.from('x'))
      const told: (string | null)[] = []
      storage.watch('w/', key => told.push(key))
      writeFileSync(path.join(folder, '~changes'), 'w/aw/b/../\nW\n', { flag: 'a' })
      await eventually('garbage is told', () => told.includes(null))
      told.length = 0
      rmSync(path.join(folder, '~changes'))
      await storage.put('w/a', Buffer.from('y'))
      await eventually('another journal is told', () => told.includes(null) || told.includes('w/a'))
      told.length = 0
      // Past the size at which it begins anew
      writeFileSync(path.join(folder, '~changes'), 'w/zzzzzzzzz\n'.repeat(25_000), { flag: 'a' })
      await storage.put('w/last', Buffer.from('y'))
      await eventually('the rotation is told', () => told.includes(null) || told.includes('w/last'))
      assert.ok(existsSync(path.join(folder, '~changes.old')))
      told.length = 0
      await storage.put('w/more', Buffer.from('y'))
      await eventually('it goes on', () => told.includes('w/more') || told.includes(null))
      await storage.close()
    }))

  it('takes values while others remove the last one in the same place, and the place with it', () =>
    withFolder(async folder => {
      const storages = await Promise.all([openFileStorage(folder), openFileStorage(folder)])
      const busy = async (storage: Storage, name: string) => {
        for (let round = 0; round < 150; round++) {
          await storage.put(`deep/place/${name}`, Buffer.from(`${round}`))
          assert.equal((await storage.get(`deep/place/${name}`))?.toString(), `${round}`)
          await storage.delete(`deep/place/${name}`)
        }
      }
      const names = ['a', 'b', 'c', 'd', 'e', 'f']
      await Promise.all(names.map((name, at) => busy(storages[at % 2] as Storage, name)))
      for (const storage of storages) await storage.close()
    }))

  it('tells of a journal that came and went between two looks', () =>
    withFolder(async folder => {
      const storage = await openFileStorage(folder, { ...quick, pollMs: 100 })
      const told: (string | null)[] = []
      storage.watch('w/', key => told.push(key))
      // So many that it is moved away at once, long before the first look; then another one.
      writeFileSync(path.join(folder, '~changes'), 'x/zzzzzzzzz\n'.repeat(25_000), { flag: 'a' })
      await storage.put('w/a', Buffer.from('y'))
      assert.ok(existsSync(path.join(folder, '~changes.old')))
      await storage.put('x/b', Buffer.from('y'))
      await eventually('it is told', () => told.includes(null) || told.includes('w/a'))
      await storage.close()
    }))

  it('is not opened where a file is, and says so', () =>
    withFolder(async folder => {
      writeFileSync(path.join(folder, 'file'), '')
      await assert.rejects(openFileStorage(path.join(folder, 'file/deep')), isKind('refused'))
      await assert.rejects(openFileStorage(path.join(folder, 'file')), isKind('refused'))
    }))

  it('keeps what it has where it may not write', { skip: process.getuid?.() !== 0 && 'needs root' }, () =>
    withFolder(async folder => {
      const storage = await openFileStorage(path.join(folder, 's'))
      await storage.put('a/k', Buffer.from('old'))
      chmodSync(folder, 0o755)
      chmodSync(path.join(folder, 's'), 0o755)
      chmodSync(path.join(folder, 's/a'), 0o755)
      // Root writes anywhere, so somebody else asks.
      const uid = process.geteuid!()
      process.seteuid!(65_534)
      try {
        await assert.rejects(storage.put('a/k', Buffer.from('new')), isKind('refused'))
        await assert.rejects(storage.put('b/k', Buffer.from('new')), isKind('refused'))
        await assert.rejects(storage.get('a/k'), isKind('refused'))
        await assert.rejects(storage.lock('l'), isKind('refused'))
      } finally {
        process.seteuid!(uid)
      }
      assert.equal((await storage.get('a/k'))?.toString(), 'old')
      await storage.close()
    }),
  )
})
