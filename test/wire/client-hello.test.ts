import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { peekHello } from '../../src/wire/hello-reader.ts'
import { sniffProtocol } from '../../src/wire/sniff.ts'
import { alertName, alertRecord, alerts } from '../../src/wire/tls-alert.ts'
import { cipherName, groupName, isGrease, signatureName, versionName } from '../../src/wire/tls-names.ts'
import { helloVectors } from '../harness/vectors.ts'
import {
  alpn,
  entry,
  extension,
  groups,
  hello,
  keyShares,
  message,
  psk,
  record,
  records,
  signatures,
  sni,
  sniOf,
  versions,
} from './hello-bytes.ts'

function read(bytes: Buffer) {
  const peek = peekHello(bytes)
  assert.equal(peek.kind, 'hello', JSON.stringify(peek))
  return peek.kind === 'hello' ? peek.hello : assert.fail()
}

function refused(bytes: Buffer, alert: keyof typeof alerts, why: RegExp) {
  const peek = peekHello(bytes)
  assert.equal(peek.kind, 'malformed', JSON.stringify(peek))
  if (peek.kind !== 'malformed') return
  assert.equal(alertName(peek.alert), alert, peek.why)
  assert.match(peek.why, why)
}

const inner = (...extensions: Buffer[]): Buffer => record(hello({ extensions }))
const bytes = (...list: number[]): Buffer => Buffer.from(list)

describe('a well-formed ClientHello', () => {
  it('gives every field, GREASE kept but in versions', () => {
    const suites = Buffer.from('1a1a1301c02f', 'hex')
    const extensions = [
      extension(0x2a2a, bytes()),
      sni('Shop.Example.COM'),
      groups(0x3a3a, 0x11ec, 29),
      extension(11, bytes(1, 0)),
      extension(35, Buffer.alloc(8)),
      alpn('h2', 'http/1.1'),
      signatures(0x0403, 0x0804),
      keyShares(0x11ec, 29),
      extension(45, bytes(1, 1)),
      versions(0x4a4a, 0x0304, 0x0303),
      extension(42, bytes()),
      psk(2),
    ]
    assert.deepEqual(read(record(hello({ suites, extensions }))), {
      legacyVersion: 0x0303,
      sessionIdLength: 32,
      cipherSuites: [0x1a1a, 0x1301, 0xc02f],
      extensions: [0x2a2a, 0, 10, 11, 35, 16, 13, 51, 45, 43, 42, 41],
      serverName: 'shop.example.com',
      alpn: ['h2', 'http/1.1'],
      versions: [0x0304, 0x0303],
      groups: [0x3a3a, 0x11ec, 29],
      keyShares: [0x11ec, 29],
      signatureAlgorithms: [0x0403, 0x0804],
      pointFormats: [0],
      pskOffered: true,
      earlyData: true,
      ticketOffered: true,
    })
  })

  it('may have no extensions, or an empty list of them', () => {
    for (const extensions of [null, []]) {
      const found = read(record(hello({ extensions })))
      assert.deepEqual(found.extensions, [])
      assert.equal(found.serverName, null)
      assert.equal(found.pskOffered, false)
    }
  })

  it('without supported_versions speaks everything up to its version field, at most TLS 1.2', () => {
    const of = (version: number) => read(record(hello({ version }))).versions
    assert.deepEqual(of(0x0301), [0x0301])
    assert.deepEqual(of(0x0302), [0x0302, 0x0301])
    assert.deepEqual(of(0x0303), [0x0303, 0x0302, 0x0301])
    assert.deepEqual(of(0x0304), [0x0303, 0x0302, 0x0301])
  })

  it('may be followed by anything: that is not looked at', () => {
    const first = record(hello())
    const peek = peekHello(Buffer.concat([first, bytes(20, 3, 3, 0, 1, 1), Buffer.alloc(500, 0xff)]))
    assert.equal(peek.kind === 'hello' && peek.length, first.length)
  })

  it('may have an empty list of key shares and an empty ticket', () => {
    const found = read(inner(keyShares(), extension(35, bytes())))
    assert.deepEqual(found.keyShares, [])
    assert.equal(found.ticketOffered, false)
  })

  it('may offer compression beside null before TLS 1.3', () => {
    assert.equal(read(record(hello({ compression: bytes(1, 0) }))).serverName, 'example.com')
  })

  it('loses the trailing dot and the case of its server name', () => {
    assert.equal(read(inner(sni('A.Example.'))).serverName, 'a.example')
    assert.equal(read(inner(sni('__proto__'))).serverName, '__proto__')
    assert.equal(read(inner(sni('1.2.3.example'))).serverName, '1.2.3.example')
    // Against RFC 6066, but wrk and others send it: a name like any other.
    assert.equal(read(inner(sni('192.0.2.1'))).serverName, '192.0.2.1')
    assert.equal(read(inner(sni(`${'a.'.repeat(127)}a`))).serverName?.length, 255)
  })
})

describe('a malformed ClientHello gets the alert of its RFC', () => {
  it('record layer', () => {
    refused(record(hello(), 23), 'unexpected_message', /first record has content type 23/)
    refused(Buffer.from('GET / HTTP/1.1\r\n'), 'unexpected_message', /content type 71/)
    refused(record(hello(), 22, 0xfefd), 'protocol_version', /record version 254/)
    refused(bytes(22, 3, 1, 0, 0), 'unexpected_message', /empty/)
    refused(bytes(22, 3, 1, 0x40, 1), 'record_overflow', /16385/)
    refused(
      Buffer.concat([records(hello(), 60).subarray(0, 65), bytes(21, 3, 3, 0, 2, 1, 0)]),
      'unexpected_message',
      /record 2/,
    )
    refused(record(Buffer.concat([hello(), bytes(0)])), 'unexpected_message', /after the ClientHello/)
    refused(record(Buffer.concat([hello(), hello()])), 'unexpected_message', /after the ClientHello/)
  })

  it('SSL 2.0', () => {
    refused(Buffer.from('802e0100020015000000100100800300', 'hex'), 'protocol_version', /SSL 2.0/)
    refused(Buffer.from('802e0103010015000000100100800300', 'hex'), 'protocol_version', /SSL 2.0/)
  })

  it('handshake header', () => {
    refused(record(message(2, Buffer.alloc(60))), 'unexpected_message', /message 2/)
    // Seen as soon as the byte is there, not when the record is complete.
    refused(bytes(22, 3, 1, 0x3f, 0, 2), 'unexpected_message', /message 2/)
    refused(bytes(22, 3, 1, 0x3f, 0, 1, 1, 0, 0), 'illegal_parameter', /more than 65536 bytes/)
  })

  it('size over the limit, declared or sent in tiny records', () => {
    const whole = record(hello())
    assert.equal(peekHello(whole, whole.length).kind, 'hello')
    const over = peekHello(whole, whole.length - 1)
    assert.equal(over.kind === 'malformed' && over.alert, alerts.illegal_parameter)
    const tiny = peekHello(records(hello(), 1), 300)
    assert.equal(tiny.kind === 'malformed' && tiny.alert, alerts.illegal_parameter)
  })

  it('fixed fields', () => {
    refused(record(message(1, Buffer.alloc(34, 3))), 'decode_error', /session id/)
    refused(record(message(1, Buffer.alloc(0))), 'decode_error', /session id/)
    refused(record(hello({ version: 0x0300 })), 'protocol_version', /older/)
    refused(record(hello({ version: 0x0002 })), 'protocol_version', /older/)
    refused(record(hello({ sessionId: Buffer.alloc(33) })), 'decode_error', /session id of 33/)
    refused(record(hello({ suites: bytes() })), 'decode_error', /0 bytes of cipher suites/)
    refused(record(hello({ suites: bytes(1, 2, 3) })), 'decode_error', /3 bytes of cipher suites/)
    refused(record(hello({ compression: bytes() })), 'decode_error', /no compression/)
    refused(record(hello({ compression: bytes(1) })), 'illegal_parameter', /without null/)
    const deflate = hello({ compression: bytes(0, 1), extensions: [versions(0x0304)] })
    refused(record(deflate), 'illegal_parameter', /compression offered/)
  })

  it('a message cut at any byte, with a header that says so', () => {
    const whole = hello({ extensions: [sni('example.com'), alpn('h2'), keyShares(29), versions(0x0304)] })
    const bare = hello({ extensions: null }).length
    for (let end = 4; end < whole.length; end++) {
      if (end === bare) continue // exactly what a hello without extensions is
      refused(record(message(1, whole.subarray(4, end))), 'decode_error', /./)
    }
  })

  it('bytes left over', () => {
    refused(record(hello({ trailing: bytes(0) })), 'decode_error', /extensions do not add up/)
    refused(record(hello({ extensions: null, trailing: bytes(0) })), 'decode_error', /extensions/)
    refused(inner(bytes(0, 23, 0)), 'decode_error', /extensions/)
    refused(inner(bytes(0, 23, 0, 1)), 'decode_error', /extensions/)
  })

  it('the same extension twice, few or many', () => {
    refused(inner(sni('a.example'), alpn('h2'), sni('b.example')), 'illegal_parameter', /extension 0 comes twice/)
    const many = Array.from({ length: 9000 }, (_, i) => extension(1000 + i, bytes()))
    refused(inRecords(...many, extension(1000, bytes())), 'illegal_parameter', /extension 1000 comes twice/)
  })

  it('server name', () => {
    const name = (...list: number[]) => inner(sniOf(entry(bytes(...list))))
    refused(inner(extension(0, bytes())), 'decode_error', /server_name/)
    refused(inner(extension(0, bytes(0, 0))), 'decode_error', /server_name/)
    refused(name(), 'decode_error', /server_name/)
    refused(inner(extension(0, bytes(0, 5, 0, 0, 2, 97))), 'decode_error', /server_name/)
    refused(inner(extension(0, bytes(0, 4, 0, 0, 2, 97))), 'decode_error', /server_name/)
    refused(inner(sniOf(entry(bytes(97)), entry(bytes(98)))), 'illegal_parameter', /more than one/)
    refused(inner(sniOf(entry(bytes(97), 1))), 'illegal_parameter', /type 1/)
    refused(inner(sni('a'.repeat(256))), 'illegal_parameter', /256 bytes/)
    for (const bad of [
      'a\0.example',
      'a\n',
      '\x7f',
      'caf\xe9',
      'a b',
      '*.example',
      'a/b',
      '%00',
      'a:443',
      '\ud83d\ude80',
    ]) {
      refused(inner(sni(bad)), 'illegal_parameter', /byte \d+ in the server name/)
    }
    for (const bad of ['.', '..', '.a', 'a..b', 'a..']) refused(inner(sni(bad)), 'illegal_parameter', /empty label/)
    refused(inner(sni('2001:db8::1')), 'illegal_parameter', /byte 58/)
  })

  it('lists', () => {
    // biome-ignore format: one line per extension
    const lists: [number, string][] = [
      [10, '0000'], [10, '00'], [10, '0001001d'], [10, '0003001d00'], [10, '0004001d'], [10, ''],
      [11, ''], [11, '00'], [11, '0200'], [11, '010000'],
      [13, '0000'], [13, '00030403'], [50, '0000'],
      [16, '0000'], [16, '000100'], [16, '000400026832'], [16, '0003026832ff'], [16, '0003036832'], [16, '0004026832'], [16, ''],
      [42, '00'],
      [43, ''], [43, '00'], [43, '0103'], [43, '030304'], [43, '020304ff'], [43, '03030403'],
      [45, ''], [45, '00'], [45, '0201'],
      [51, ''], [51, '0001'], [51, '0004001d0000'], [51, '0005001d000200'], [51, '0003001d00'],
    ]
    for (const [type, body] of lists) {
      refused(inner(extension(type, Buffer.from(body, 'hex'))), 'decode_error', /do not add up/)
    }
    refused(inner(keyShares(29, 29)), 'illegal_parameter', /two key shares/)
  })

  it('pre_shared_key', () => {
    refused(inner(psk(), sni('a.example')), 'illegal_parameter', /not the last/)
    refused(inner(psk(2, 1)), 'illegal_parameter', /one binder/)
    refused(inner(psk(1, 2)), 'illegal_parameter', /one binder/)
    refused(inner(psk(0, 1)), 'decode_error', /pre_shared_key/)
    refused(inner(psk(1, 0)), 'illegal_parameter', /one binder/)
    const whole = psk().subarray(4)
    for (let end = 0; end < whole.length; end++) {
      refused(inner(extension(41, whole.subarray(0, end))), 'decode_error', /pre_shared_key/)
    }
    // An identity that reaches one byte beyond the list, into binders that are themselves in order.
    const beyond = Buffer.concat([Buffer.from('00080003616161000000002120', 'hex'), Buffer.alloc(32)])
    refused(inner(extension(41, beyond)), 'decode_error', /pre_shared_key/)
    refused(inner(extension(41, Buffer.concat([whole, bytes(0)]))), 'decode_error', /pre_shared_key/)
  })
})

/** A hello too large for one record. */
function inRecords(...extensions: Buffer[]): Buffer {
  return records(hello({ extensions }), 16384)
}

describe('hellos of real clients', () => {
  it('reproduce their JA3', () => {
    assert.ok(helloVectors.length >= 13)
    for (const vector of helloVectors) {
      const found = read(record(Buffer.from(vector.clienthello, 'hex')))
      const join = (list: readonly number[]) => list.filter(n => !isGrease(n)).join('-')
      const lists = [found.cipherSuites, found.extensions, found.groups, found.pointFormats].map(join)
      assert.equal([found.legacyVersion, ...lists].join(), vector.ja3_full)
      // The start of JA4: t, highest version, d when there is a server name, then the first protocol's ends.
      const highest = { 769: '10', 770: '11', 771: '12', 772: '13' }[Math.max(...found.versions)]
      assert.equal(`t${highest}${found.serverName === null ? 'i' : 'd'}`, vector.ja4.slice(0, 4))
      const first = found.alpn[0]
      assert.equal(first === undefined ? '00' : `${first[0]}${first.at(-1)}`, vector.ja4.slice(8, 10))
      assert.equal(found.pskOffered, found.extensions.includes(41))
    }
  })
})

describe('sniffProtocol', () => {
  it('tells TLS and HTTP from the rest', () => {
    // biome-ignore format: a table
    const cases: [string, string][] = [
      ['', 'incomplete'], ['\x16', 'incomplete'], ['\x16\x03', 'tls'], ['\x16\x03\x01\x02', 'tls'],
      ['\x16\xfe\xfd', 'other'], ['G', 'incomplete'], ['GET', 'incomplete'], ['GET ', 'http'],
      ['M-SEARCH * HTTP/1.1', 'http'], ['PRI * HTTP/2.0\r\n', 'http'], [' GET', 'other'], ['SSH-2.0-x\r\n', 'other'],
      ['\x80\x2e\x01\x00\x02', 'other'], ['\x15\x03\x01\x00\x02', 'other'], ['GET\r\n', 'other'],
      ['A'.repeat(32), 'incomplete'], ['A'.repeat(33), 'other'], [`${'A'.repeat(32)} `, 'http'], [`${'A'.repeat(33)} `, 'other'],
    ]
    for (const [text, expected] of cases) {
      assert.equal(sniffProtocol(Buffer.from(text, 'latin1')), expected, JSON.stringify(text))
    }
  })
})

describe('names and alerts', () => {
  it('a fatal alert is a record of seven bytes, a closure a warning', () => {
    assert.equal(alertRecord(alerts.decode_error).toString('hex'), '15030300020232')
    assert.equal(alertRecord(alerts.close_notify).toString('hex'), '15030300020100')
    assert.equal(alertName(112), 'unrecognized_name')
    assert.equal(alertName(200), 'alert 200')
  })

  it('numbers have names, unknown ones are hexadecimal', () => {
    assert.equal(versionName(0x0304), 'TLS 1.3')
    assert.equal(groupName(0x11ec), 'X25519MLKEM768')
    assert.equal(groupName(0x1a1a), 'GREASE')
    assert.equal(cipherName(0x1301), 'TLS_AES_128_GCM_SHA256')
    assert.equal(signatureName(0x0999), '0x0999')
    assert.deepEqual([0x0a0a, 0xfafa, 0x0a1a, 0x0b0b, 0x1a0a].map(isGrease), [true, true, false, false, false])
  })
})
