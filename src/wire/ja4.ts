/**
 * Fingerprints of TLS clients from their ClientHello: JA4 (FoxIO, BSD 3-Clause for TLS clients) and the older JA3.
 * They tell programs apart, not people, and a client can imitate another: a hint, never a proof.
 */
import { createHash } from 'node:crypto'
import type { ClientHello } from './client-hello.ts'
import { isGrease } from './tls-names.ts'

const hex4 = (value: number): string => value.toString(16).padStart(4, '0')
const two = (count: number): string => String(Math.min(count, 99)).padStart(2, '0')
const without = (values: readonly number[]): number[] => values.filter(value => !isGrease(value))
const sha12 = (text: string): string =>
  text === '' ? '000000000000' : createHash('sha256').update(text).digest('hex').slice(0, 12)

const versionCodes: Readonly<Record<number, string>> = {
  772: '13',
  771: '12',
  770: '11',
  769: '10',
  768: 's3',
}

export type Fingerprint = { readonly ja4: string; readonly ja3: string }

export function fingerprintOf(hello: ClientHello): Fingerprint {
  return { ja4: ja4Of(hello), ja3: createHash('md5').update(ja3Text(hello)).digest('hex') }
}

export function ja4Of(hello: ClientHello): string {
  const { head, ciphers, rest } = ja4Parts(hello)
  return `${head}_${sha12(ciphers)}_${sha12(rest)}`
}

/** JA4_r: what the hashes are made of, in full. */
export function ja4Raw(hello: ClientHello): string {
  const { head, ciphers, rest } = ja4Parts(hello)
  return `${head}_${ciphers}_${rest}`
}

function ja4Parts(hello: ClientHello): { head: string; ciphers: string; rest: string } {
  const ciphers = without(hello.cipherSuites)
  const extensions = without(hello.extensions)
  const version = versionCodes[Math.max(...without(hello.versions))] ?? '00'
  const name = extensions.includes(0x0000) ? 'd' : 'i'
  const head = `t${version}${name}${two(ciphers.length)}${two(extensions.length)}${alpnCode(hello.alpn[0] ?? '')}`
  // The server name and ALPN are in the first part, and would make one program many.
  const sorted = sortedHex(extensions.filter(type => type !== 0x0000 && type !== 0x0010))
  const algorithms = without(hello.signatureAlgorithms).map(hex4).join(',')
  return {
    head,
    ciphers: sortedHex(ciphers),
    rest: algorithms === '' ? sorted : `${sorted}_${algorithms}`,
  }
}

/** Sorted as numbers: their digits sort the same way, and a hello may have 30,000 of them. */
const sortedHex = (values: readonly number[]): string => [...Uint16Array.from(values).sort()].map(hex4).join(',')

/** First and last character; of one that is not a letter or digit, the first and last digit of its bytes in hex. */
function alpnCode(protocol: string): string {
  if (protocol === '') return '00'
  const [first, last] = [protocol[0] as string, protocol.at(-1) as string]
  if (/[0-9A-Za-z]/.test(first) && /[0-9A-Za-z]/.test(last)) return first + last
  const bytes = Buffer.from(protocol, 'latin1').toString('hex')
  return `${bytes[0]}${bytes.at(-1)}`
}

/** The five fields that JA3 hashes with MD5. */
export function ja3Text(hello: ClientHello): string {
  const lists = [hello.cipherSuites, hello.extensions, hello.groups, hello.pointFormats]
  return [hello.legacyVersion, ...lists.map(list => without(list).join('-'))].join(',')
}
