/** What requests for files are made of: paths, ranges, conditions, dates; and the room that open files have. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SizedCache } from '../../src/base/sized-cache.ts'
import { candidatesFor } from '../../src/features/files/candidates.ts'
import { factsOf } from '../../src/features/files/facts.ts'
import { filePath } from '../../src/features/files/file-path.ts'
import { listingPage } from '../../src/features/files/listing.ts'
import { failure } from '../../src/features/files/open-file.ts'
import { parseRanges } from '../../src/features/files/ranges.ts'
import { Descriptors } from '../../src/gateway/descriptor-room.ts'
import { Fields } from '../../src/wire/fields.ts'
import { parseHttpDate } from '../../src/wire/http-date.ts'

describe('the name of a file', () => {
  it('is the path, decoded once', () => {
    for (const [path, name] of [
      ['/', ''],
      ['/a', 'a'],
      ['/a/', 'a/'],
      ['/a/b.c', 'a/b.c'],
      ['/a%20b', 'a b'],
      ['/%C3%BC', 'ü'],
      ['/\u00c3\u00bc', 'ü'],
      ['/a%2520b', 'a%20b'],
      ['/%EF%BB%BFa', '\ufeffa'],
      ['/.well-known/x', '.well-known/x'],
      ['/a..b/c...', 'a..b/c...'],
    ] as const)
      assert.equal(filePath(path), name, path)
  })

  it('is none for what leads elsewhere, hides, or is no text', () => {
    for (const path of [
      '',
      'a',
      '*',
      '//',
      '//a',
      '/a//b',
      '/a//',
      '/.',
      '/..',
      '/../a',
      '/a/..',
      '/a/../b',
      '/%2e%2e/a',
      '/%2E',
      '/a%2fb',
      '/a%2Fb',
      '/a\\b',
      '/a%5cb',
      '/a%00',
      '/a%0ab',
      '/a%7f',
      '/\u0000',
      '/%',
      '/%4',
      '/%zz',
      '/%c0%ae',
      '/%ff',
      '/\u00ff',
      '/\u0100',
      '/%ed%a0%80',
      '/.env',
      '/a/.env',
      '/.well-known/.x',
      '/a/.well-known/x',
      '/.well-known2/x',
    ])
      assert.equal(filePath(path), null, path)
  })
})

describe('ranges', () => {
  it('are of the file, in the order of the request', () => {
    for (const [text, size, ranges] of [
      ['bytes=0-0', 10, [{ from: 0, to: 1 }]],
      ['bytes=-10', 5, [{ from: 0, to: 5 }]],
      ['bytes=0-00000000000000000009', 10, 'none'],
      [
        'bytes=9-, 0-1',
        10,
        [
          { from: 9, to: 10 },
          { from: 0, to: 2 },
        ],
      ],
      [
        'bytes= ,0-1, ,3-3,',
        10,
        [
          { from: 0, to: 2 },
          { from: 3, to: 4 },
        ],
      ],
      ['bytes=0-1,1-2', 10, 'none'],
      ['bytes=10-,11-12', 10, 'unsatisfiable'],
      ['bytes=-0', 10, 'unsatisfiable'],
      ['bytes=0-', 0, 'unsatisfiable'],
      ['bytes=9999999999999999999-', 10, 'unsatisfiable'],
      ['bytes=1-0', 10, 'none'],
      ['bytes=0-1-2', 10, 'none'],
      ['bytes=+0-1', 10, 'none'],
      ['bytes', 10, 'none'],
    ] as const)
      assert.deepEqual(parseRanges(text, size), ranges, text)
  })
})

describe('dates of fields', () => {
  it('have three forms', () => {
    const ms = Date.UTC(1994, 10, 6, 8, 49, 37)
    for (const text of [
      'Sun, 06 Nov 1994 08:49:37 GMT',
      'Sunday, 06-Nov-94 08:49:37 GMT',
      'Sun Nov  6 08:49:37 1994',
    ])
      assert.equal(parseHttpDate(text), ms, text)
    assert.equal(parseHttpDate('Friday, 01-Jan-60 00:00:00 GMT', Date.UTC(2026, 0)), Date.UTC(2060, 0))
    assert.equal(parseHttpDate('Friday, 01-Jan-99 00:00:00 GMT', Date.UTC(2026, 0)), Date.UTC(1999, 0))
  })

  it('nothing else is one', () => {
    for (const text of [
      '',
      '0',
      '2024-01-01',
      'Sun, 06 Nov 1994 08:49:37',
      'Sun, 06 Nov 1994 08:49:37 UTC',
      'Sun, 31 Feb 1994 08:49:37 GMT',
      'Sun, 06 Now 1994 08:49:37 GMT',
      'Sun, 06 Nov 1994 24:00:00 GMT',
      ' Sun, 06 Nov 1994 08:49:37 GMT',
    ])
      assert.equal(parseHttpDate(text), null, text)
  })
})

describe('what is said of a file', () => {
  const stamp = { size: 26, modifiedMs: 1_700_000_000_123.456, inode: 7 }

  it('its tag has the size, the time and the coding', () => {
    const tags = [
      factsOf(stamp, 'a.js', null),
      factsOf(stamp, 'a.js', 'br'),
      factsOf({ ...stamp, size: 27 }, 'a.js', null),
      factsOf({ ...stamp, modifiedMs: stamp.modifiedMs + 0.001 }, 'a.js', null),
    ].map(({ etag }) => etag)
    assert.equal(new Set(tags).size, 4)
  })

  it('has no Last-Modified while that second, which another change may fall into, is not over', () => {
    const at = (now: number) => factsOf(stamp, 'a', null, now).modifiedMs
    assert.equal(at(1_700_000_000_900), null)
    assert.equal(at(1_699_999_999_000), null)
    assert.equal(at(1_700_000_001_000), 1_700_000_000_000)
  })

  it('errors of the file system: whose fault they are', () => {
    const kinds = ['ENOENT', 'ENAMETOOLONG', 'ELOOP', 'EACCES', 'EMFILE', 'EIO'].map(code => {
      const found = failure(Object.assign(new Error(code), { code }), '/x')
      return found.kind === 'failed' ? found.error.code : found.kind
    })
    assert.deepEqual(kinds, [
      'missing',
      'missing',
      'missing',
      'FILE_FORBIDDEN',
      'NO_DESCRIPTORS',
      'FILE_UNREADABLE',
    ])
  })
})

describe('the files that may answer', () => {
  const config = {
    root: '/',
    index: ['a.html', 'b.html'],
    fallback: 'app.html',
    precompressed: true,
    listing: true,
  }
  const names = (path: string, fields: string) =>
    candidatesFor(path, new Fields(fields), config).map(({ name }) => name)

  it('come in order', () => {
    assert.deepEqual(names('x/', 'accept-encoding: gzip\r\naccept: text/html\r\n'), [
      'x/a.html.gz',
      'x/a.html',
      'x/b.html.gz',
      'x/b.html',
      'x',
      'app.html.gz',
      'app.html',
    ])
    assert.deepEqual(names('x.js', 'accept-encoding: gzip, zstd, br;q=0.1\r\n'), [
      'x.js.zst',
      'x.js.gz',
      'x.js.br',
      'x.js',
    ])
  })
})

describe('a listing', () => {
  const entry = (name: string, kind: string) =>
    ({
      name,
      isFile: () => kind === 'file',
      isDirectory: () => kind === 'folder',
      isSymbolicLink: () => false,
    }) as never

  it('shows what is served, folders first, and not more than a page takes', () => {
    const { body } = listingPage('/', true, [
      entry('b', 'file'),
      entry('z', 'folder'),
      entry('pipe', 'else'),
      entry('.x', 'file'),
      entry('bad\ufffd\ud800', 'file'),
    ])
    assert.deepEqual(
      [...String(body).matchAll(/href="([^"]+)"/g)].map(found => found[1]),
      ['./z/', './b'],
    )
    const many = listingPage(
      '/x/',
      false,
      Array.from({ length: 2_500 }, (_, at) => entry(`f${at}`, 'file')),
    )
    assert.match(String(many.body), /and 500 more/)
    assert.equal([...String(many.body).matchAll(/href=/g)].length, 2_001)
  })

  it('a name is no markup and no scheme', () => {
    const { body } = listingPage('/"><script>/', false, [
      entry('javascript:alert(1)', 'file'),
      entry('"onload="x', 'file'),
    ])
    assert.match(String(body), /href="\.\/javascript%3Aalert\(1\)"/)
    assert.doesNotMatch(String(body), /<script|" ?onload="/)
  })
})

describe('files that are held in memory', () => {
  it('make room for others, those that nobody asks for first', () => {
    const cache = new SizedCache<number>(3_000)
    for (const [at, key] of ['a', 'b', 'c', 'd'].entries()) cache.put(key, at, 600 - 257)
    assert.equal(cache.get('a'), 0)
    cache.put('e', 4, 600 - 257)
    cache.put('f', 5, 600 - 257)
    assert.deepEqual([cache.get('a'), cache.get('b'), cache.get('f')], [0, null, 5])
    cache.put('huge', 6, 3_000)
    assert.deepEqual([cache.get('huge'), cache.get('f')], [null, 5])
    cache.delete('f')
    assert.equal(cache.get('f'), null)
  })
})

describe('files that are open', () => {
  it('have a part of the descriptors, and give it back', () => {
    const log = { write: () => {} }
    const links = { open: 0 }
    const room = new Descriptors(log as never, links, () => 0, 160)
    let open = 0
    while (room.file() === null) open++
    assert.equal(open, 20)
    assert.equal(room.file()?.code, 'NO_DESCRIPTORS')
    room.fileClosed()
    assert.equal(room.file(), null)
  })
})
