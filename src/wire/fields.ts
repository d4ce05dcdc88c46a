/**
 * The header fields of one message, as text until somebody looks inside. A head that is only forwarded keeps the lines
 * it came with and is never taken apart; the first `get` or `set` turns it into a list, and stays one.
 *
 * Invariants: `text` is well-formed field lines, each ended with CRLF, latin1; framing and hop-by-hop fields are not
 * in it (the parsers take them out, the writers put their own in). Values set here cannot carry CR, LF or NUL, nor
 * characters above U+00FF, whose low byte could be one of those (RFC 9110 section 5.5).
 */

const nameForm = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const valueForm = /^[\t\x20-\x7e\x80-\xff]*$/

export class Fields {
  private lines: string
  /** name in lower case, value, name, value, ... once somebody looked inside */
  private list: string[] | null = null

  constructor(lines: string) {
    this.lines = lines
  }

  static fromPairs(pairs: Iterable<readonly [string, string]>): Fields {
    const fields = new Fields('')
    for (const [name, value] of pairs) fields.append(name, value)
    return fields
  }

  /** The field lines, each with its CRLF. */
  get text(): string {
    if (this.list === null) return this.lines
    let text = ''
    for (let at = 0; at < this.list.length; at += 2) text += `${this.list[at]}: ${this.list[at + 1]}\r\n`
    return text
  }

  /** The first value of `name`, or null. */
  get(name: string): string | null {
    const list = this.opened()
    const wanted = name.toLowerCase()
    for (let at = 0; at < list.length; at += 2) if (list[at] === wanted) return list[at + 1] as string
    return null
  }

  getAll(name: string): string[] {
    const list = this.opened()
    const wanted = name.toLowerCase()
    const values: string[] = []
    for (let at = 0; at < list.length; at += 2) if (list[at] === wanted) values.push(list[at + 1] as string)
    return values
  }

  has(name: string): boolean {
    return this.get(name) !== null
  }

  /** Replaces every field of that name. Throws TypeError on a name or value that RFC 9110 does not allow. */
  set(name: string, value: string): void {
    check(name, value)
    this.delete(name)
    this.opened().push(name.toLowerCase(), value)
  }

  append(name: string, value: string): void {
    check(name, value)
    this.opened().push(name.toLowerCase(), value)
  }

  delete(name: string): void {
    const list = this.opened()
    const wanted = name.toLowerCase()
    let kept = 0
    for (let at = 0; at < list.length; at += 2) {
      if (list[at] === wanted) continue
      list[kept] = list[at] as string
      list[kept + 1] = list[at + 1] as string
      kept += 2
    }
    list.length = kept
  }

  /** Deletes every field whose name is in the set, in lower case: one pass, however many there are. */
  deleteAll(names: ReadonlySet<string>): void {
    const list = this.opened()
    let kept = 0
    for (let at = 0; at < list.length; at += 2) {
      if (names.has(list[at] as string)) continue
      list[kept] = list[at] as string
      list[kept + 1] = list[at + 1] as string
      kept += 2
    }
    list.length = kept
  }

  *[Symbol.iterator](): Generator<readonly [name: string, value: string]> {
    const list = this.opened()
    for (let at = 0; at < list.length; at += 2) yield [list[at] as string, list[at + 1] as string]
  }

  private opened(): string[] {
    if (this.list !== null) return this.list
    const list: string[] = []
    let at = 0
    while (at < this.lines.length) {
      const end = this.lines.indexOf('\r\n', at)
      const colon = this.lines.indexOf(':', at)
      list.push(this.lines.slice(at, colon).toLowerCase(), trimBlanks(this.lines.slice(colon + 1, end)))
      at = end + 2
    }
    this.lines = ''
    this.list = list
    return list
  }
}

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
