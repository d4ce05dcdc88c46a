/**
 * The header fields of one message. They stay the text that they came as: a head that is only forwarded is never taken
 * apart, and one field that is looked up, set or deleted costs one pass over the lines and no list of all of them.
 *
 * Invariants: `text` is well-formed field lines, each ended with CRLF, latin1; framing and hop-by-hop fields are not
 * in it (the parsers take them out, the writers put their own in). Values set here cannot carry CR, LF or NUL, nor
 * characters above U+00FF, whose low byte could be one of those (RFC 9110 section 5.5).
 */

import { bitOf } from './field-names.ts'

const nameForm = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const valueForm = /^[\t\x20-\x7e\x80-\xff]*$/

/** Any name may be there. */
const everyBit = -1

/** Names, and the bits of all of them (nameBit). */
export type FieldNames = { readonly names: readonly string[]; readonly bits: number }

/** @param names in lower case */
export const fieldNames = (names: readonly string[]): FieldNames => ({
  names,
  bits: names.reduce((bits, name) => bits | bitOf(name), 0),
})

export class Fields {
  /** The field lines as they came, whatever was set or deleted since */
  readonly sent: string
  private lines: string
  /** Of every name that is there; others may be set too */
  private bits: number

  constructor(lines: string, bits = everyBit, sent = lines) {
    this.sent = sent
    this.lines = lines
    this.bits = bits
  }

  /** The field lines, each with its CRLF. */
  get text(): string {
    return this.lines
  }

  static fromPairs(pairs: Iterable<readonly [string, string]>): Fields {
    const fields = new Fields('')
    for (const [name, value] of pairs) fields.append(name, value)
    return fields
  }

  /** The first value of `name`, or null. */
  get(name: string): string | null {
    return fieldIn(this.lines, name.toLowerCase())
  }

  getAll(name: string): string[] {
    const text = this.lines
    const wanted = name.toLowerCase()
    const values: string[] = []
    for (let at = lineOf(text, wanted, 0); at >= 0; at = lineOf(text, wanted, nextLine(text, at)))
      values.push(valueAt(text, at + wanted.length + 1))
    return values
  }

  has(name: string): boolean {
    return lineOf(this.lines, name.toLowerCase(), 0) >= 0
  }

  /** Whether there is a field with one of these names: one pass, and none where no such name can be there. */
  hasAny({ names, bits }: FieldNames): boolean {
    if ((this.bits & bits) === 0) return false
    const text = this.lines
    for (let at = 0; at < text.length; at = nextLine(text, at)) if (isNamed(text, at, names)) return true
    return false
  }

  /** Replaces every field of that name. Throws TypeError on a name or value that RFC 9110 does not allow. */
  set(name: string, value: string): void {
    check(name, value)
    const wanted = name.toLowerCase()
    this.deleteLines(wanted)
    this.lines += `${wanted}: ${value}\r\n`
    this.bits = everyBit
  }

  append(name: string, value: string): void {
    check(name, value)
    this.lines += `${name.toLowerCase()}: ${value}\r\n`
    this.bits = everyBit
  }

  delete(name: string): void {
    this.deleteLines(name.toLowerCase())
  }

  /**
   * Deletes the fields with these names and adds lines: one pass for what would be a `set` or `delete` for each, and none where
   * no such name can be there. @param lines fields that `check` would pass, each with its CRLF @param added the bits of their names
   */
  replace({ names, bits }: FieldNames, lines: string, added: number): void {
    const text = this.lines
    const canBeThere = (this.bits & bits) !== 0
    this.bits |= added
    if (!canBeThere) {
      this.lines = text + lines
      return
    }
    let kept = ''
    let keptTo = 0
    for (let at = 0; at < text.length; ) {
      const next = nextLine(text, at)
      if (isNamed(text, at, names)) {
        kept += text.slice(keptTo, at)
        keptTo = next
      }
      at = next
    }
    this.lines = keptTo === 0 ? text + lines : kept + text.slice(keptTo) + lines
  }

  /** Gives each field with one of these names the value that `change` makes of its own. Values go by the rules of `set`. */
  change({ names, bits }: FieldNames, change: (value: string, name: string) => string): void {
    if ((this.bits & bits) === 0) return
    const text = this.lines
    let made = ''
    let madeTo = 0
    for (let at = 0; at < text.length; ) {
      const next = nextLine(text, at)
      if (isNamed(text, at, names)) {
        const colon = text.indexOf(':', at)
        const name = text.slice(at, colon).toLowerCase()
        const value = valueAt(text, colon + 1)
        const changed = change(value, name)
        if (changed !== value) {
          check(name, changed)
          made += `${text.slice(madeTo, colon + 1)} ${changed}\r\n`
          madeTo = next
        }
      }
      at = next
    }
    if (madeTo > 0) this.lines = made + text.slice(madeTo)
  }

  /** Deletes every field whose name is in the set, in lower case: one pass, however many there are. */
  deleteAll(names: ReadonlySet<string>): void {
    const text = this.lines
    let kept = ''
    let keptTo = 0
    for (let at = 0; at < text.length; ) {
      const next = nextLine(text, at)
      if (names.has(text.slice(at, text.indexOf(':', at)).toLowerCase())) {
        kept += text.slice(keptTo, at)
        keptTo = next
      }
      at = next
    }
    if (keptTo > 0) this.lines = kept + text.slice(keptTo)
  }

  *[Symbol.iterator](): Generator<readonly [name: string, value: string]> {
    const text = this.lines
    for (let at = 0; at < text.length; at = nextLine(text, at)) {
      const colon = text.indexOf(':', at)
      yield [text.slice(at, colon).toLowerCase(), valueAt(text, colon + 1)]
    }
  }

  /** @param wanted in lower case */
  private deleteLines(wanted: string): void {
    const text = this.lines
    let at = lineOf(text, wanted, 0)
    if (at < 0) return
    let kept = ''
    let keptTo = 0
    while (at >= 0) {
      kept += text.slice(keptTo, at)
      keptTo = nextLine(text, at)
      at = lineOf(text, wanted, keptTo)
    }
    this.lines = kept + text.slice(keptTo)
  }
}

/** The first value of a name, which is in lower case, in field lines; or null. */
export function fieldIn(lines: string, name: string): string | null {
  const at = lineOf(lines, name, 0)
  return at < 0 ? null : valueAt(lines, at + name.length + 1)
}

const nextLine = (text: string, at: number): number => text.indexOf('\n', at) + 1

/** Where the first line with this name begins, from the line at `from` on; -1 without one. A name has no colon and no CR, so the first look rules most lines out. */
function lineOf(text: string, wanted: string, from: number): number {
  for (let at = from; at < text.length; at = nextLine(text, at))
    if (text.charCodeAt(at + wanted.length) === 0x3a && isSameName(text, at, wanted)) return at
  return -1
}

function isSameName(text: string, at: number, wanted: string): boolean {
  for (let index = 0; index < wanted.length; index++) {
    const code = text.charCodeAt(at + index)
    if ((code >= 0x41 && code <= 0x5a ? code | 0x20 : code) !== wanted.charCodeAt(index)) return false
  }
  return true
}

function isNamed(text: string, at: number, names: readonly string[]): boolean {
  for (let index = 0; index < names.length; index++) {
    const name = names[index] as string
    if (text.charCodeAt(at + name.length) === 0x3a && isSameName(text, at, name)) return true
  }
  return false
}

const valueAt = (text: string, from: number): string => trimBlanks(text.slice(from, text.indexOf('\r\n', from)))

function check(name: string, value: string): void {
  if (!nameForm.test(name)) throw new TypeError(`'${name}' is not a header field name (RFC 9110 section 5.1)`)
  if (!valueForm.test(value)) {
    throw new TypeError(`the value of '${name}' has a control character or one above U+00FF (RFC 9110 section 5.5)`)
  }
}

/** Without spaces and tabs at either end; other white space is content. */
export function trimBlanks(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09
