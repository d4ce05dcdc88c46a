/** What every storage does, whatever it keeps values in: one list of tests that the files beside this one run over each. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type Storage, StorageError } from '../../src/model/storage.ts'
import { sized } from './scale.ts'
import { eventually } from './until.ts'

export type Opened = {
  readonly storage: Storage
  /** Another one on the same values, as another process has it */
  readonly other: Storage
  close(): Promise<void>
}

export function isKind(kind: StorageError['kind']): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof StorageError, `not a StorageError: ${error}`)
    assert.equal(error.kind, kind, error.message)
    return true
  }
}

export const badKeys = [
  '',
  '/',
  '.',
  '..',
  '../x',
  'a/../b',
  'a/./b',
  'a//b',
  '/a',
  'a/',
  'A',
  'a b',
  'a\0b',
  'a\nb',
  'ä',
  'a\u202eb',
  'a*',
  'a?',
  'a[b]',
  'a\\b',
  '~locks/x',
  'a%2e%2e',
  'x'.repeat(201),
  Array.from({ length: 400 }, () => 'abc').join('/'),
  'a.damaged-2026-11-21T10-00-00Z',
]

/** @param open with an empty storage, each time another one */
export function behavesAsStorage(open: () => Promise<Opened>): void {
  const use = (act: (opened: Opened) => Promise<void>) => async () => {
    const opened = await open()
    try {
      await act(opened)
    } finally {
      await opened.close()
    }
  }
  const bytes = (text: string) => Buffer.from(text)

  it(
    'gives back what was put, and the last of it',
    use(async ({ storage, other }) => {
      assert.equal(await storage.get('a/b'), null)
      const every = Buffer.from(Array.from({ length: 256 }, (_, value) => value))
      for (const value of [bytes('one'), every, bytes(''), bytes('sallyport-ttl-1 0000000000000009\nx'), every]) {
        await storage.put('a/b', value)
        assert.deepEqual(await other.get('a/b'), value)
        assert.deepEqual(await storage.get('a/b'), value)
      }
      // A view into a larger buffer
      await storage.put('a/b', new Uint8Array(every.buffer, every.byteOffset + 5, 3))
      assert.deepEqual(await other.get('a/b'), every.subarray(5, 8))
    }),
  )

  it(
    'deletes, and a second time',
    use(async ({ storage, other }) => {
      await storage.put('a/b/c', bytes('x'))
      await storage.put('a/b/d', bytes('y'))
      await storage.delete('a/b/c')
      await storage.delete('a/b/c')
      assert.equal(await other.get('a/b/c'), null)
      assert.deepEqual(await other.get('a/b/d'), bytes('y'))
      await storage.delete('a/b/d')
      await storage.delete('a/b/d')
      await storage.put('a/b/d', bytes('z'))
      assert.deepEqual(await other.get('a/b/d'), bytes('z'))
    }),
  )

  it(
    'lists what begins with a prefix, sorted, and nothing else',
    use(async ({ storage, other }) => {
      const keys = ['c/b', 'c/a/x', 'c/a/y:1', 'c/_wildcard.example.com', 'c/a.b', 'cd/e', 'd']
      for (const key of keys) await storage.put(key, bytes(key))
      assert.deepEqual(await other.list('c/'), ['c/_wildcard.example.com', 'c/a.b', 'c/a/x', 'c/a/y:1', 'c/b'])
      assert.deepEqual(await other.list('c/a/'), ['c/a/x', 'c/a/y:1'])
      assert.deepEqual(await other.list('e/'), [])
      assert.deepEqual(await other.list('d/'), [])
      await storage.lock('c/lock')
      assert.equal((await other.list('c/')).length, 5)
      for (const prefix of ['', 'c', '/', '../', 'c//', '*/'])
        await assert.rejects(other.list(prefix), RangeError, prefix)
    }),
  )

  it(
    'lists many',
    use(async ({ storage, other }) => {
      const keys = Array.from(
        { length: sized(150, 1_000) },
        (_, index) => `many/${index % 7}/n${String(index).padStart(4, '0')}`,
      )
      for (let at = 0; at < keys.length; at += 50)
        await Promise.all(keys.slice(at, at + 50).map(key => storage.put(key, bytes('x'))))
      assert.deepEqual(await other.list('many/'), keys.toSorted())
    }),
  )

  it(
    'forgets a value whose life time is over',
    use(async ({ storage, other }) => {
      await storage.put('t/short', bytes('x'), { ttlMs: 150 })
      await storage.put('t/long', bytes('y'), { ttlMs: 60_000 })
      await storage.put('t/again', bytes('z'), { ttlMs: 150 })
      await storage.put('t/again', bytes('for good'))
      assert.deepEqual(await other.get('t/long'), bytes('y'))
      await eventually('short is over', async () => (await other.get('t/short')) === null)
      await eventually('short is not listed', async () => (await other.list('t/')).join() === 't/again,t/long')
      assert.deepEqual(await other.get('t/again'), bytes('for good'))
      for (const ttlMs of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
        await assert.rejects(storage.put('t/x', bytes('x'), { ttlMs }), RangeError)
    }),
  )

  it(
    'takes no key that is none',
    use(async ({ storage }) => {
      for (const key of badKeys) {
        await assert.rejects(async () => storage.get(key), RangeError, key)
        await assert.rejects(async () => storage.put(key, bytes('x')), RangeError, key)
        await assert.rejects(async () => storage.delete(key), RangeError, key)
        await assert.rejects(async () => storage.setAside(key), RangeError, key)
        await assert.rejects(async () => storage.lock(key), RangeError, key)
        assert.throws(() => storage.watch(`${key}/`, () => {}), RangeError, key)
      }
      const longest = Array.from({ length: 3 }, () => 'x'.repeat(200)).join('/')
      for (const key of [longest, '...', '-', ':', 'a..b', '.hidden', 'constructor', '__proto__/x']) {
        await storage.put(key, bytes(key))
        assert.deepEqual(await storage.get(key), bytes(key))
      }
    }),
  )

  it(
    'takes values of up to 1 MB',
    use(async ({ storage }) => {
      const most = 1024 * 1024 - 100
      await storage.put('big', Buffer.alloc(most, 7))
      assert.equal((await storage.get('big'))?.length, most)
      await assert.rejects(storage.put('big', Buffer.alloc(1024 * 1024 + 1)), isKind('refused'))
      assert.equal((await storage.get('big'))?.length, most)
    }),
  )

  it(
    'sets a value aside, each time under another name',
    use(async ({ storage, other }) => {
      const places = new Set<string>()
      for (let time = 0; time < 3; time++) {
        await storage.put('a/damaged', bytes(`x${time}`))
        const place = await storage.setAside('a/damaged')
        assert.match(place, /a\/damaged\.damaged-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(-\d)?$/)
        places.add(place)
        assert.equal(await other.get('a/damaged'), null)
        assert.deepEqual(await other.list('a/'), [])
      }
      assert.equal(places.size, 3)
      await assert.rejects(storage.setAside('a/damaged'), isKind('refused'))
    }),
  )

  it(
    'locks: one at a time, with growing fences',
    use(async ({ storage, other }) => {
      let last = 0
      for (let time = 0; time < 5; time++) {
        const lease = await (time % 2 === 0 ? storage : other).lock('l/x')
        assert.ok(lease)
        assert.ok(lease.fence > last, `${lease.fence} after ${last}`)
        last = lease.fence
        assert.equal(await storage.lock('l/x'), null)
        assert.equal(await other.lock('l/x'), null)
        const beside = await other.lock('l/y')
        assert.ok(beside)
        await beside.release()
        assert.equal(lease.lost.aborted, false)
        await lease.release()
        await lease.release()
      }
    }),
  )

  it(
    'gives a lock to exactly one of many that ask at once',
    use(async ({ storage, other }) => {
      for (let time = 0; time < 20; time++) {
        const asked = await Promise.all(
          Array.from({ length: 10 }, (_, index) => (index % 2 ? storage : other).lock('race')),
        )
        const got = asked.filter(lease => lease !== null)
        assert.equal(got.length, 1)
        await got[0]!.release()
      }
    }),
  )

  it(
    'writes with a lease that is held, and with no other',
    use(async ({ storage, other }) => {
      const lease = await storage.lock('l')
      assert.ok(lease)
      await storage.put('k', bytes('ours'), { lease })
      await lease.release()
      await assert.rejects(storage.put('k', bytes('too late'), { lease }), isKind('lost'))
      const next = await other.lock('l')
      assert.ok(next)
      await assert.rejects(storage.put('k', bytes('too late'), { lease }), isKind('lost'))
      await other.put('k', bytes('theirs'), { lease: next })
      assert.deepEqual(await storage.get('k'), bytes('theirs'))
      const stranger = { fence: 9, lost: new AbortController().signal, release: async () => {} }
      await assert.rejects(storage.put('k', bytes('x'), { lease: stranger }), RangeError)
      await next.release()
    }),
  )

  it(
    'tells watchers of puts and deletes of others and itself',
    use(async ({ storage, other }) => {
      const told: (string | null)[] = []
      const stop = storage.watch('w/', key => told.push(key))
      await other.put('w/a', bytes('1'))
      await storage.put('w/b/c', bytes('1'))
      await other.put('x/a', bytes('1'))
      await eventually('two are told', () => told.includes('w/a') && told.includes('w/b/c'))
      told.length = 0
      await other.delete('w/a')
      await eventually('the delete is told', () => told.includes('w/a'))
      assert.ok(!told.includes('x/a'))
      stop()
      stop()
      told.length = 0
      const again: (string | null)[] = []
      const stopAgain = other.watch('w/', key => again.push(key))
      await storage.put('w/d', bytes('1'))
      await eventually('the second watcher is told', () => again.includes('w/d'))
      assert.deepEqual(told, [])
      stopAgain()
    }),
  )

  it(
    'lets go of its locks when it is closed',
    use(async ({ storage, other }) => {
      const lease = await storage.lock('l')
      assert.ok(lease)
      await storage.close()
      await eventually('the lock is free', async () => (await other.lock('l')) !== null)
    }),
  )
}
