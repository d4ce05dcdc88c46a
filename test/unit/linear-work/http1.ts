/** The worst inputs of HTTP/1.1: heads, bodies, fields, targets. */
import { CidrSet } from '../../../src/base/ip.ts'
import type { Trust } from '../../../src/model/client.ts'
import type { Connection } from '../../../src/model/connection.ts'
import { trustedClient } from '../../../src/proxy/seam/trusted-client.ts'
import { inClientFamily } from '../../../src/wire/client-fields.ts'
import { readConnection } from '../../../src/wire/connection-options.ts'
import { findName, hashStep } from '../../../src/wire/field-names.ts'
import { Fields, fieldNames } from '../../../src/wire/fields.ts'
import { listElements, parseForwarded, parseNode } from '../../../src/wire/forwarded.ts'
import { HeadBuffer } from '../../../src/wire/head-buffer.ts'
import { parseLength } from '../../../src/wire/heads.ts'
import { canonicalHost, isHost } from '../../../src/wire/host.ts'
import { ChunkedDecoder } from '../../../src/wire/http1-body.ts'
import { parseRequestHead, parseResponseHead } from '../../../src/wire/http1-head.ts'
import { LenientHead, leniencyNames } from '../../../src/wire/lenient-head.ts'
import { pathForm, strictForm } from '../../../src/wire/path-form.ts'
import { sniffProtocol } from '../../../src/wire/sniff.ts'
import { parseTarget } from '../../../src/wire/target.ts'
import { parseTraceParent } from '../../../src/wire/trace-parent.ts'
import { bytewise, latin1, type Worst, worst } from './worst.ts'

const limits = { headBytes: 10_000_000, uriBytes: 10_000_000, headers: 10_000_000 }
const sink = { onBody: () => {}, onBodyEnd: () => {} }

/** As serve-http1 reads a head that comes byte by byte. */
function headInPieces(bytes: Buffer, kind: 'request' | 'response' | 'trailers'): void {
  const buffer = new HeadBuffer(kind, null)
  bytewise(bytes, piece => {
    buffer.append(piece)
    if (!buffer.ready() || kind === 'trailers') return
    const view = buffer.view()
    if (kind === 'request') parseRequestHead(view, 0, view.length, limits)
    else parseResponseHead(view, 0, view.length, limits)
  })
}

/** As backend-http1 reads the head of a backend with every leniency. */
const lenient = (text: string, piece: number) => {
  const bytes = latin1(text)
  return () => {
    const reader = new LenientHead(new Set(leniencyNames), null)
    for (let at = 0; at < bytes.length; at += piece) reader.read(bytes.subarray(at, at + piece), 0, limits)
  }
}

const request = (fields: string) => latin1(`GET / HTTP/1.1\r\nhost: a\r\n${fields}\r\n`)

function whole(bytes: Buffer) {
  return () => parseRequestHead(bytes, 0, bytes.length, limits)
}

function chunked(bytes: Buffer, piece: number) {
  return () => {
    const decoder = new ChunkedDecoder(limits, true, null)
    for (let at = 0; at < bytes.length; at += piece)
      decoder.push(bytes, at, Math.min(at + piece, bytes.length), sink)
  }
}

export const http1: readonly Worst[] = [
  worst('src/wire/forwarded.ts', 'a quoted string of quoted pairs without an end', 20_000, n => {
    const value = `for="${'\\"'.repeat(n / 2)}`
    return () => parseForwarded([value])
  }),
  worst('src/wire/forwarded.ts', 'elements', 20_000, n => {
    const value = 'for=1.1.1.1,'.repeat(n / 12)
    return () => parseForwarded([value])
  }),
  worst('src/wire/forwarded.ts', 'separators, and lines', 20_000, n => {
    const lines = [',;  '.repeat(n / 8), ...Array<string>(n / 8).fill(';')]
    return () => [parseForwarded(lines), listElements(lines)]
  }),
  worst('src/wire/forwarded.ts', 'nodes', 20_000, n => {
    const nodes = [`_${'a'.repeat(n)}`, ':'.repeat(n), `[${'1'.repeat(n)}`, `${'1.'.repeat(n)}:1`]
    return () => nodes.map(parseNode)
  }),
  worst('src/proxy/seam/trusted-client.ts', 'a chain of trusted proxies', 2_000, n => {
    const claims = new Fields(
      `x-forwarded-for: ${'10.0.0.1, '.repeat(n / 10)}\r\nx-forwarded-proto: ${'http,'.repeat(n / 5)}\r\n`,
    )
    const trust: Trust = { from: new CidrSet(['10.0.0.0/8']), fields: 'x-forwarded', host: true }
    const connection = { clientAddress: '10.0.0.1', clientPort: 1, serverPort: 1 } as Connection
    return () => trustedClient(claims, connection, trust, null)
  }),
  worst('src/proxy/seam/trusted-client.ts', 'a Forwarded of trusted proxies', 2_000, n => {
    const claims = new Fields(`forwarded: ${'for=10.0.0.1,'.repeat(n / 13)}\r\n`)
    const trust: Trust = { from: new CidrSet(['10.0.0.0/8']), fields: 'forwarded', host: true }
    const connection = { clientAddress: '10.0.0.1', clientPort: 1, serverPort: 1 } as Connection
    return () => trustedClient(claims, connection, trust, null)
  }),
  worst('src/wire/head-buffer.ts', 'empty lines, byte by byte', 4_000, n => {
    const bytes = latin1('\r\n'.repeat(n / 2))
    return () => headInPieces(bytes, 'request')
  }),
  worst('src/wire/head-buffer.ts', 'lone line feeds, byte by byte', 4_000, n => {
    const bytes = latin1('\n'.repeat(n))
    return () => headInPieces(bytes, 'trailers')
  }),
  worst('src/wire/head-buffer.ts', 'fields without an end, byte by byte', 4_000, n => {
    const bytes = latin1(`GET / HTTP/1.1\r\n${'a:b\r\n'.repeat(n / 5)}`)
    return () => headInPieces(bytes, 'request')
  }),
  worst('src/wire/head-buffer.ts', 'a response without an end, byte by byte', 4_000, n => {
    const bytes = latin1(`HTTP/1.1 200 OK\r\n${'a:b\r\n'.repeat(n / 5)}`)
    return () => headInPieces(bytes, 'response')
  }),
  worst('src/wire/http1-head.ts', 'empty lines at once', 20_000, n => whole(latin1('\r\n'.repeat(n / 2)))),
  worst('src/wire/http1-head.ts', 'a connection option for each field', 4_000, n => {
    const names = Array.from({ length: n / 10 }, (_, i) => `x-${i}`)
    const fields = names.map(name => `${name}: v\r\n`).join('')
    return whole(request(`${fields}connection: ${names.join(',')}\r\n`))
  }),
  worst('src/wire/http1-head.ts', 'one option over and over beside many fields', 4_000, n =>
    whole(request(`${'x: v\r\n'.repeat(n / 12)}connection: ${'a,'.repeat(n / 4)}\r\n`)),
  ),
  worst('src/wire/http1-head.ts', 'many connection fields', 4_000, n =>
    whole(request('connection: a, b\r\n'.repeat(n / 18))),
  ),
  worst('src/wire/http1-head.ts', 'many te, expect and upgrade fields', 4_000, n =>
    whole(request('te: , ,  ,\r\nexpect: x\r\nupgrade: y\r\n'.repeat(n / 36))),
  ),
  worst('src/wire/http1-head.ts', 'te full of commas and blanks', 4_000, n =>
    whole(request(`te: ${', \t'.repeat(n / 6)}trailers${' '.repeat(n / 2)}x\r\n`)),
  ),
  worst('src/wire/http1-head.ts', 'a response that drops a field for each option', 4_000, n => {
    const names = Array.from({ length: n / 10 }, (_, i) => `x-${i}`)
    const fields = names.map(name => `${name}: v\r\n`).join('')
    const bytes = latin1(`HTTP/1.1 200 OK\r\n${fields}connection: ${names.join(',')}\r\n\r\n`)
    return () => parseResponseHead(bytes, 0, bytes.length, limits)
  }),
  worst('src/wire/lenient-head.ts', 'a head without an end, byte by byte', 4_000, n =>
    lenient(`HTTP/1.1 200 OK\n${'a:b\n'.repeat(n / 4)}`, 1),
  ),
  worst('src/wire/lenient-head.ts', 'one field in many folds', 4_000, n =>
    lenient(`HTTP/1.1 200 OK\na:b\n${' c\n'.repeat(n / 3)}\n`, n),
  ),
  worst('src/wire/lenient-head.ts', 'many lengths', 4_000, n =>
    lenient(`HTTP/1.1 200 OK\n${'content-length:1,1,1\n'.repeat(n / 21)}\n`, n),
  ),
  worst('src/wire/lenient-head.ts', 'blanks before colons, and control characters', 4_000, n =>
    lenient(`HTTP/1.1 999 ${'\0'.repeat(n / 4)}\na${' '.repeat(n / 4)}:\n${'a :\x01\n'.repeat(n / 10)}\n`, n),
  ),
  worst('src/wire/connection-options.ts', 'all different', 4_000, n => {
    const value = Array.from({ length: n / 5 }, (_, i) => `x${i}`).join(', ')
    return () => readConnection(value)
  }),
  worst('src/wire/http1-body.ts', 'chunks of one byte', 20_000, n =>
    chunked(latin1('1\r\na\r\n'.repeat(n / 6)), n),
  ),
  worst('src/wire/http1-body.ts', 'trailers byte by byte', 4_000, n =>
    chunked(latin1(`0\r\n${'x-t: v\r\n'.repeat(n / 8)}`), 1),
  ),
  worst('src/wire/http1-body.ts', 'one endless trailer, byte by byte', 4_000, n =>
    chunked(latin1(`0\r\nx: ${'v'.repeat(n)}`), 1),
  ),
  worst('src/wire/fields.ts', 'deletion of every name', 4_000, n => {
    const names = Array.from({ length: n / 10 }, (_, i) => `x-${i}`)
    const text = names.map(name => `${name}: v\r\n`).join('')
    const set = new Set(names)
    return () => new Fields(text).deleteAll(set)
  }),
  worst('src/wire/fields.ts', 'change of every field', 4_000, n => {
    const text = 'x-a: v\r\n'.repeat(n / 8)
    const names = fieldNames(['x-a'])
    return () => new Fields(text).change(names, value => `${value}w`)
  }),
  worst('src/wire/fields.ts', 'one value full of blanks', 8_000, n => {
    const text = `x: ${' \t'.repeat(n / 2)}\r\n`
    return () => new Fields(text).get('x')
  }),
  worst('src/wire/field-names.ts', 'a name that is nearly one of ours', 8_000, n => {
    const name = latin1(`x-forwarded-for${'r'.repeat(n)}`)
    return () => {
      let hash = 0
      for (const byte of name) hash = hashStep(hash, byte)
      return findName(name, 0, name.length, hash)
    }
  }),
  worst('src/wire/client-fields.ts', 'names that are nearly of a family', 8_000, n => {
    const name = latin1(`x-ssl-clien${'t'.repeat(n)}`)
    return () => inClientFamily(name, 0, name.length)
  }),
  worst('src/wire/heads.ts', 'a content-length full of digits', 8_000, n => {
    const digits = '1'.repeat(n)
    return () => parseLength(digits)
  }),
  worst('src/wire/host.ts', 'dots and hyphens', 8_000, n => {
    const [dots, hyphens, colons] = ['a.'.repeat(n), '-'.repeat(n), `[${':'.repeat(n)}`]
    return () => [dots, hyphens, colons].map(text => isHost(text) || canonicalHost(text))
  }),
  worst('src/wire/sniff.ts', 'a method without an end', 8_000, n => {
    const bytes = latin1('A'.repeat(n))
    return () => sniffProtocol(bytes)
  }),
  worst('src/wire/trace-parent.ts', 'a version of the future with more and more', 8_000, n => {
    const text = `cc-${'a'.repeat(32)}-${'b'.repeat(16)}-01-${'x'.repeat(n)}`
    return () => parseTraceParent(text)
  }),
  worst('src/wire/target.ts', 'encoded letters', 4_000, n => {
    const target = `/${'%61'.repeat(n / 3)}`
    return () => parseTarget('GET', target)
  }),
  worst('src/wire/target.ts', 'dot segments up and down', 4_000, n => {
    const target = `/${'a/../'.repeat(n / 5)}`
    return () => parseTarget('GET', target)
  }),
  worst('src/wire/target.ts', 'slashes', 8_000, n => {
    const target = '/'.repeat(n)
    return () => parseTarget('GET', target)
  }),
  ...['%61', '%2F', ';', '/.', 'a/../', '//'].flatMap(piece =>
    [strictForm, { ...strictForm, encodedSlash: true, merge: false, stripParameters: true, decode: false }].map(
      form =>
        worst('src/wire/path-form.ts', `${piece} over and over (${form.merge})`, 4_000, n => {
          const path = `/${piece.repeat(n / piece.length)}`
          return () => pathForm(path, form)
        }),
    ),
  ),
  worst('src/wire/target.ts', 'an absolute form', 8_000, n => {
    const target = `http://${'a'.repeat(n)}/${'?'.repeat(n)}`
    return () => parseTarget('GET', target)
  }),
]
