/** Which coding a client gets for what it says in Accept-Encoding (RFC 9110 section 12.5.3), and which types are compressed. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { chooseCoding } from '../../src/features/compress/accept-encoding.ts'
import { type Coding, codings } from '../../src/features/compress/codings.ts'
import { compileTypes } from '../../src/features/compress/media-types.ts'
import { mediaType } from '../../src/features/compress/options.ts'

type Row = readonly [accept: string | null, coding: Coding | null, identity?: false]

const table: readonly Row[] = [
  [null, null],
  ['', null],
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['GZip', 'gzip'],
  ['gzip, deflate, br, zstd', 'zstd'],
  ['gzip, deflate, br', 'br'],
  ['deflate, compress', null],
  ['gzip;q=1.0, br;q=0.9', 'gzip'],
  ['gzip;q=0.5, br;q=0.5', 'br'],
  ['gzip ; q=0.8 ,\tbr;\tq=0.801', 'br'],
  ['gzip;Q=0.3', 'gzip'],
  ['gzip;q=0', null],
  ['gzip;q=0.000', null],
  ['zstd;q=0, br;q=0, *', 'gzip'],
  ['*', 'zstd'],
  ['*;q=0.1', 'zstd'],
  ['*;q=0', null, false],
  ['br;q=0.2, *;q=0.1', 'br'],
  ['identity', null],
  ['identity;q=0', null, false],
  ['identity;q=0, gzip', 'gzip', false],
  ['identity;q=0, *;q=0.5', 'zstd', false],
  ['gzip, *;q=0', 'gzip', false],
  ['gzip, *;q=0, identity', 'gzip'],
  ['identity;q=1, gzip;q=0.5', null],
  ['identity;q=0.5, gzip;q=0.5', 'gzip'],
  ['identity;q=0.5, gzip;q=0.4, br;q=0.6', 'br'],
  // Malformed: nothing is accepted by it
  ['gzip;q=2', null],
  ['gzip;q=1.5', null],
  ['gzip;q=0.1234', null],
  ['gzip;q=.5', null],
  ['gzip;q=-1', null],
  ['gzip;q=', null],
  ['gzip;level=9', null],
  ['gzip;q=1;x=1', null],
  ['gzip br', null],
  [',,gzip,,', 'gzip'],
  ['gzip;q=0, gzip', null],
  ['__proto__, constructor, gzip', 'gzip'],
]

describe('Accept-Encoding', () => {
  for (const [accept, coding, identity] of table)
    it(`${JSON.stringify(accept)} is answered with ${coding ?? 'no coding'}`, () =>
      assert.deepEqual(chooseCoding(accept, codings), { coding, identity: identity ?? true }))

  it('leaves the order among equals to the configuration, and what is not configured out', () => {
    assert.equal(chooseCoding('gzip, br, zstd', ['gzip', 'br']).coding, 'gzip')
    assert.equal(chooseCoding('gzip;q=0.1, br, zstd', ['gzip']).coding, 'gzip')
    assert.equal(chooseCoding('br, zstd', ['gzip']).coding, null)
  })
})

describe('media types', () => {
  const types = compileTypes(['text/*', 'application/json', 'application/*+json', 'application/grpc'])
  const yes = ['text/html', 'TEXT/HTML; charset=utf-8', 'application/json ;x=y', 'application/problem+json']
  const no = [
    'image/png',
    'application/json5',
    'application/+',
    'text',
    '',
    '/',
    'application/grpc',
    'a/b+json',
    'text/',
  ]
  for (const type of yes) it(`${type} is one of them`, () => assert.equal(types(type), true))
  for (const type of no.slice(0, -1)) it(`'${type}' is not`, () => assert.equal(types(type), false))

  it('are written as types, with a star for a subtype or before a suffix', () => {
    for (const text of ['text/*', 'Application/JSON', 'application/*+json', 'image/svg+xml'])
      assert.deepEqual(mediaType(text), { ok: text.toLowerCase() })
    for (const text of ['*', '*/*', 'text', 'text/*x', '*/json', 'text/html; charset=utf-8', 'text/+*', ''])
      assert.ok('wrong' in mediaType(text), text)
  })
})
