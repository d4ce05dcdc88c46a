/** Names of certificates as access is decided by them: RFC 4514, and no text in an attribute that makes another name. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as der from '../../src/certs/x509/der.ts'
import { commonNameOf, distinguishedName, nameText } from '../../src/certs/x509/name-text.ts'

const [cn, o, ou, dc, uid] = [
  '2.5.4.3',
  '2.5.4.10',
  '2.5.4.11',
  '0.9.2342.19200300.100.1.25',
  '0.9.2342.19200300.100.1.1',
]
type Pair = readonly [id: string, text: string | Buffer]
const attribute = ([id, text]: Pair): Buffer =>
  der.sequence(der.oid(id), typeof text === 'string' ? der.utf8String(text) : text)
/** In the order of the certificate; a list within is one set. */
const name = (...groups: readonly (Pair | readonly Pair[])[]): Buffer =>
  der.sequence(
    ...groups.map(group => {
      const pairs = (Array.isArray(group[0]) ? group : [group]) as readonly Pair[]
      return der.set(...pairs.map(attribute))
    }),
  )

describe('distinguished names', () => {
  test('as in the examples of RFC 4514 section 4', () => {
    const below = [
      [dc, 'net'],
      [dc, 'example'],
    ] as const
    const cases: [Buffer, string][] = [
      [name(...below, [uid, 'jsmith']), 'UID=jsmith,DC=example,DC=net'],
      [
        name(...below, [
          [ou, 'Sales'],
          [cn, 'J.  Smith'],
        ]),
        'OU=Sales+CN=J.  Smith,DC=example,DC=net',
      ],
      [name(...below, [cn, 'James "Jim" Smith, III']), 'CN=James \\"Jim\\" Smith\\, III,DC=example,DC=net'],
      [name(...below, [cn, 'Before\rAfter']), 'CN=Before\\0DAfter,DC=example,DC=net'],
      [name(['1.3.6.1.4.1.1466.0', der.octetString(Buffer.from('Hi'))]), '1.3.6.1.4.1.1466.0=#04024869'],
      [name([cn, 'Lučić']), 'CN=Lučić'],
      [name([cn, ' # a; <b> \\ ']), 'CN=\\ # a\\; \\<b\\> \\\\\\ '],
      [name([cn, '#x']), 'CN=\\#x'],
      [name([cn, ' ']), 'CN=\\ '],
      [name([cn, '']), 'CN='],
      [name(), ''],
    ]
    for (const [bytes, text] of cases) assert.equal(distinguishedName(bytes), text)
  })

  test('nothing in a value makes another name, and different names have different texts', () => {
    const values = [
      'admin',
      'admin,O=Example',
      'Example, CN=admin',
      'admin+O=Example',
      'Example',
      'a\\',
      '\\,',
      '"',
      ' ',
      '',
      '#04',
      'CN=admin',
    ]
    const seen = new Map<string, string>()
    const kinds = [cn, o, ou]
    let names = 0
    const add = (...groups: readonly (Pair | readonly Pair[])[]) => {
      const bytes = name(...groups)
      const text = distinguishedName(bytes)
      const known = seen.get(text)
      assert.ok(known === undefined || known === bytes.toString('hex'), `${text} is the text of two names`)
      seen.set(text, bytes.toString('hex'))
      names++
    }
    for (const first of values) {
      for (const kind of kinds) {
        add([kind, first])
        for (const second of values) {
          for (const other of kinds) {
            add([kind, first], [other, second])
            add([
              [kind, first],
              [other, second],
            ])
          }
        }
      }
    }
    assert.ok(names > 2_000, `${names}`)
    assert.equal(seen.get('CN=admin,O=Example'), name([o, 'Example'], [cn, 'admin']).toString('hex'))
  })

  test('the common name is that of the attribute, the most specific one', () => {
    assert.equal(commonNameOf(name([o, 'x, CN=admin'], [cn, 'mallory'])), 'mallory')
    assert.equal(commonNameOf(name([o, 'x, CN=admin'])), '')
    assert.equal(commonNameOf(name([cn, 'first'], [cn, 'last'])), 'last')
    assert.equal(commonNameOf(name([cn, 'a\r\nb'])), 'a??b')
  })

  test('text that is no text does no harm', () => {
    const half = Buffer.from('d83d', 'hex')
    for (const value of [
      der.encode(0x1e, half),
      der.encode(0x0c, Buffer.from([0xff, 0x2c])),
      der.encode(0x1e, Buffer.from([0])),
    ]) {
      const bytes = name([cn, value])
      assert.ok(distinguishedName(bytes).isWellFormed())
      assert.ok(nameText(bytes).isWellFormed())
    }
  })
})
