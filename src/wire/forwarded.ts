/**
 * Fields by which proxies say who is in front of them: `Forwarded` (RFC 7239), lists as X-Forwarded-For has them, and the
 * nodes in both. Read only from trusted peers, and strictly: what could be read in two ways is malformed. One pass each.
 */
import { formatAddress, parseAddress } from '../base/ip.ts'
import { nameClass } from './field-names.ts'
import { trimBlanks } from './fields.ts'

/** Where a request was before. */
export type ForwardedNode = {
  /** Null for `unknown` and for an obfuscated identifier (RFC 7239 sections 6.2 and 6.3) */
  readonly address: string | null
  /** 0 where it is not said */
  readonly port: number
}

/** One element of `Forwarded`: what one proxy says. Null for what it does not say. */
type ForwardedElement = Readonly<Record<'for' | 'proto' | 'host' | 'by', string | null>>

/** A port behind a node: digits, or an obfuscated one. -1 where it is malformed */
function portOf(text: string): number {
  if (isObfuscated(text)) return 0
  if (text.length === 0 || text.length > 5) return -1
  let port = 0
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return -1
    port = port * 10 + digit
  }
  return port <= 65_535 ? port : -1
}

function isObfuscated(text: string): boolean {
  if (text.length < 2 || text.charCodeAt(0) !== 0x5f) return false
  for (let at = 1; at < text.length; at++) if (!isObfuscatedCode(text.charCodeAt(at))) return false
  return true
}

const isObfuscatedCode = (code: number): boolean =>
  (code >= 48 && code <= 57) ||
  (code >= 65 && code <= 90) ||
  (code >= 97 && code <= 122) ||
  code === 0x2e ||
  code === 0x5f ||
  code === 0x2d

/** Longer than any address in brackets with a port, and than any obfuscated identifier that is worth carrying */
const longestNode = 256

/**
 * A node: an address, an IPv6 address in brackets, either with a port; a bare IPv6 address, as X-Forwarded-For has it;
 * `unknown`, or an obfuscated identifier. @returns null where it is none of these
 */
export function parseNode(text: string): ForwardedNode | null {
  if (text.length > longestNode) return null
  const whole = parseAddress(text)
  if (whole !== null) return { address: formatAddress(whole), port: 0 }
  let name = text
  let port = 0
  const end = text.charCodeAt(0) === 0x5b ? text.indexOf(']') + 1 : colonIn(text)
  if (end > 0 && end < text.length) {
    name = text.slice(0, end)
    port = text.charCodeAt(end) === 0x3a ? portOf(text.slice(end + 1)) : -1
    if (port < 0) return null
  }
  if (name.charCodeAt(0) === 0x5b) {
    const inside = name.slice(1, -1)
    const bytes = end > 0 && inside.includes(':') ? parseAddress(inside) : null
    return bytes === null ? null : { address: formatAddress(bytes), port }
  }
  if (isObfuscated(name) || name.toLowerCase() === 'unknown') return { address: null, port: 0 }
  const bytes = name.includes(':') ? null : parseAddress(name)
  return bytes === null ? null : { address: formatAddress(bytes), port }
}

const colonIn = (text: string): number => {
  const at = text.indexOf(':')
  return at < 0 ? text.length : at
}

/** The elements of a list field (RFC 9110 section 5.6.1), of all its lines; without empty ones. Not for values with quotes. */
export function listElements(values: readonly string[]): string[] {
  const elements: string[] = []
  for (const value of values)
    for (const part of value.split(',')) {
      const element = trimBlanks(part)
      if (element !== '') elements.push(element)
    }
  return elements
}

/** @param values one of each line: no quoted string goes on in another @returns null where one is malformed */
export function parseForwarded(values: readonly string[]): ForwardedElement[] | null {
  const elements: ForwardedElement[] = []
  for (const value of values) if (!new ForwardedLine(value).read(elements)) return null
  return elements
}

type MutableElement = { -readonly [K in keyof ForwardedElement]: ForwardedElement[K] }

const noElement = (): MutableElement => ({ for: null, proto: null, host: null, by: null })

class ForwardedLine {
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  read(elements: ForwardedElement[]): boolean {
    let element = noElement()
    let filled = false
    for (;;) {
      this.blanks()
      const code = this.at < this.text.length ? this.text.charCodeAt(this.at) : comma
      if (code === comma) {
        if (filled) elements.push(element)
        if (this.at >= this.text.length) return true
        element = noElement()
        filled = false
        this.at++
      } else if (code === semicolon) this.at++
      else {
        if (!this.pair(element)) return false
        filled = true
        this.blanks()
        // Another pair begins behind a semicolon only.
        const next = this.at < this.text.length ? this.text.charCodeAt(this.at) : comma
        if (next !== comma && next !== semicolon) return false
      }
    }
  }

  private pair(element: MutableElement): boolean {
    const name = this.token().toLowerCase()
    if (name === '' || this.text.charCodeAt(this.at) !== equals) return false
    this.at++
    const value = this.text.charCodeAt(this.at) === quote ? this.quoted() : this.token()
    if (value === null || value === '') return false
    if (name !== 'for' && name !== 'proto' && name !== 'host' && name !== 'by') return true
    // Section 4: each parameter occurs at most once.
    if (element[name] !== null) return false
    element[name] = value
    return true
  }

  private token(): string {
    const from = this.at
    while (this.at < this.text.length && isTokenCode(this.text.charCodeAt(this.at))) this.at++
    return this.text.slice(from, this.at)
  }

  private quoted(): string | null {
    let value = ''
    let from = ++this.at
    for (; this.at < this.text.length; this.at++) {
      const code = this.text.charCodeAt(this.at)
      if (code === quote) {
        value += this.text.slice(from, this.at++)
        return value
      }
      if (code !== backslash) continue
      value += this.text.slice(from, this.at)
      from = ++this.at
    }
    return null
  }

  private blanks(): void {
    while (
      this.at < this.text.length &&
      (this.text.charCodeAt(this.at) === 0x20 || this.text.charCodeAt(this.at) === 9)
    )
      this.at++
  }
}

const comma = 0x2c
const semicolon = 0x3b
const equals = 0x3d
const quote = 0x22
const backslash = 0x5c

const isTokenCode = (code: number): boolean => code < 256 && nameClass[code] !== 0
