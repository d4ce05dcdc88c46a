import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HelloReader, type Peek, peekHello } from '../../src/wire/hello-reader.ts'
import { alerts } from '../../src/wire/tls-alert.ts'
import { helloVectors } from '../harness/vectors.ts'
import {
  alpn,
  groups,
  hello,
  keyShares,
  psk,
  randomFrom,
  record,
  records,
  signatures,
  sni,
  versions,
} from './hello-bytes.ts'

const ours = hello({
  extensions: [
    sni('shop.example.com'),
    groups(0x11ec, 29),
    signatures(0x0403),
    alpn('h2', 'http/1.1'),
    versions(0x0304),
    keyShares(29),
    psk(),
  ],
})
const real = helloVectors.map(vector => Buffer.from(vector.clienthello, 'hex'))
const all = [ours, ...real]

/** What a peek says, without where the hello ended. */
function helloOf(peek: Peek) {
  assert.equal(peek.kind, 'hello', JSON.stringify(peek))
  return peek.kind === 'hello' ? peek.hello : assert.fail()
}

describe('a ClientHello in pieces reads as the whole one does', () => {
  it('over TCP, split in two at every byte', () => {
    for (const message of all) {
      const whole = record(message)
      const expected = helloOf(peekHello(whole))
      for (let at = 1; at < whole.length; at++) {
        const reader = new HelloReader(null)
        assert.equal(reader.push(whole.subarray(0, at)).kind, 'incomplete')
        assert.deepEqual(helloOf(reader.push(whole.subarray(at))), expected)
        assert.ok(whole.equals(reader.bytes()))
      }
    }
  })

  it('over TCP, one byte at a time', () => {
    for (const message of all) {
      const whole = record(message)
      const reader = new HelloReader(null)
      for (let at = 0; at < whole.length - 1; at++) {
        assert.equal(reader.push(whole.subarray(at, at + 1)).kind, 'incomplete')
      }
      assert.deepEqual(helloOf(reader.push(whole.subarray(-1))), helloOf(peekHello(whole)))
    }
  })

  it('over records, split in two at every byte', () => {
    for (const message of all) {
      const expected = helloOf(peekHello(record(message)))
      for (let at = 1; at < message.length; at++) {
        const split = Buffer.concat([record(message.subarray(0, at)), record(message.subarray(at), 22, 0x0303)])
        const peek = peekHello(split)
        assert.deepEqual(helloOf(peek), expected)
        assert.equal(peek.kind === 'hello' && peek.length, split.length)
      }
    }
  })

  it('over records of every size, and those over TCP in every size', () => {
    const expected = helloOf(peekHello(record(ours)))
    for (let size = 1; size < ours.length; size += size < 12 ? 1 : 17) {
      const wire = records(ours, size)
      for (let step = 1; step < wire.length; step += step < 12 ? 1 : 29) {
        const reader = new HelloReader(null)
        let last: Peek = { kind: 'incomplete' }
        for (let at = 0; at < wire.length; at += step) {
          assert.equal(last.kind, 'incomplete')
          last = reader.push(wire.subarray(at, at + step))
        }
        assert.deepEqual(helloOf(last), expected)
        assert.ok(wire.equals(reader.bytes()))
      }
    }
  })

  it('with bytes behind it in the last chunk', () => {
    const wire = records(ours, 50)
    const reader = new HelloReader(null)
    reader.push(wire.subarray(0, 100))
    const last = reader.push(Buffer.concat([wire.subarray(100), Buffer.from('early')]))
    assert.equal(last.kind === 'hello' && last.length, wire.length)
    assert.equal(Buffer.from(reader.bytes()).toString('latin1').slice(wire.length), 'early')
  })
})

describe('the reader', () => {
  it('gives the one chunk back as it is, and copies a chunk that was not enough', () => {
    const whole = record(ours)
    const one = new HelloReader(null)
    one.push(whole)
    assert.equal(one.bytes(), whole)

    const scratch = Buffer.from(whole.subarray(0, 100))
    const two = new HelloReader(null)
    two.push(scratch)
    scratch.fill(0xff)
    assert.equal(two.push(whole.subarray(100)).kind, 'hello')
    assert.ok(whole.equals(two.bytes()))
  })

  it('takes 64 kB one byte at a time, in one-byte records', () => {
    const padding = Buffer.alloc(10_000)
    const wire = records(hello({ extensions: [sni('example.com'), paddingExtension(padding)] }), 1)
    assert.ok(wire.length > 60_000 && wire.length < 65_536)
    const reader = new HelloReader(null)
    let last: Peek = { kind: 'incomplete' }
    for (let at = 0; at < wire.length; at++) last = reader.push(wire.subarray(at, at + 1))
    assert.equal(helloOf(last).serverName, 'example.com')
  })

  it('refuses empty and foreign records between fragments, wherever they come', () => {
    for (let at = 1; at < ours.length; at++) {
      const first = record(ours.subarray(0, at))
      for (const intruder of [
        record(Buffer.alloc(0)),
        record(Buffer.from([1, 0]), 21),
        record(Buffer.from([1]), 20),
      ]) {
        const reader = new HelloReader(null)
        assert.equal(reader.push(first).kind, 'incomplete')
        const verdict = reader.push(intruder)
        assert.equal(verdict.kind === 'malformed' && verdict.alert, alerts.unexpected_message)
      }
    }
  })

  it('never holds more than its limit', () => {
    const reader = new HelloReader(null, 1000)
    let pushed = 0
    let verdict: Peek = { kind: 'incomplete' }
    const wire = records(hello({ extensions: [paddingExtension(Buffer.alloc(900))] }), 10)
    while (verdict.kind === 'incomplete') {
      verdict = reader.push(wire.subarray(pushed, pushed + 1))
      pushed++
    }
    assert.equal(verdict.kind === 'malformed' && verdict.alert, alerts.illegal_parameter)
    assert.ok(pushed <= 1000)
  })
})

function paddingExtension(padding: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0, 21, padding.length >>> 8, padding.length]), padding])
}

describe('fuzzed', () => {
  it('every prefix of a good hello is incomplete', () => {
    for (const message of all) {
      for (const wire of [record(message), records(message, 7)]) {
        for (let end = 0; end < wire.length; end++)
          assert.equal(peekHello(wire.subarray(0, end)).kind, 'incomplete')
      }
    }
  })

  it('30,000 mutations give a verdict, the same one whole or in pieces', () => {
    const below = randomFrom(0x5a11)
    const known = new Set<number>(Object.values(alerts))
    const counts = { hello: 0, incomplete: 0, malformed: 0 }
    for (let round = 0; round < 30_000; round++) {
      const message = all[below(all.length)]
      let wire = Buffer.from(below(3) === 0 ? records(message, 1 + below(200)) : record(message))
      for (let edits = 1 + below(4); edits > 0; edits--) {
        const at = below(wire.length)
        const kind = below(5)
        if (kind === 0) wire[at] = below(256)
        else if (kind === 1) wire[at] ^= 1 << below(8)
        else if (kind === 2) wire[at] = below(2) * 255
        else if (kind === 3) wire = Buffer.concat([wire.subarray(0, at), wire.subarray(at + 1 + below(4))])
        else wire = Buffer.concat([wire.subarray(0, at), Buffer.alloc(1 + below(4), below(256)), wire.subarray(at)])
        if (wire.length === 0) wire = Buffer.from([22])
      }
      const verdict = peekHello(wire)
      counts[verdict.kind]++
      if (verdict.kind === 'malformed') assert.ok(known.has(verdict.alert))
      if (verdict.kind === 'hello' && verdict.hello.serverName !== null) {
        assert.match(verdict.hello.serverName, /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/)
      }
      // In pieces: the reader may refuse sooner, never otherwise.
      const reader = new HelloReader(null)
      let last: Peek = { kind: 'incomplete' }
      const step = 1 + below(64)
      for (let at = 0; at < wire.length && last.kind === 'incomplete'; at += step) {
        last = reader.push(wire.subarray(at, at + step))
      }
      assert.deepEqual(last, verdict)
    }
    assert.ok(counts.hello > 1000 && counts.malformed > 1000 && counts.incomplete > 100, JSON.stringify(counts))
  })

  it('20,000 runs of random bytes behind a good header give a verdict', () => {
    const below = randomFrom(77)
    for (let round = 0; round < 20_000; round++) {
      const body = Buffer.alloc(below(120))
      for (let i = 0; i < body.length; i++) body[i] = below(below(2) === 0 ? 4 : 256)
      const kind = peekHello(record(Buffer.concat([Buffer.from([1, 0, 0, body.length]), body]))).kind
      assert.notEqual(kind, 'incomplete')
    }
  })
})
