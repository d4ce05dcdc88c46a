/**
 * Response heads of backends that are not quite right. The strict parser has refused the head; here the mistakes that the
 * configuration names are mended in its text, and the strict parser reads the result. No other code decides how a response is
 * framed, and what goes to the client is as clean as any other head.
 *
 * Invariants: the end of the head is found before anything is mended, by one kind of line ending throughout. Fields about framing
 * and the connection are never mended, but for repeated Content-Length fields with the same value. See
 * test/wire/lenient-head.test.ts.
 */
import { latin1 } from '../base/bytes.ts'
import { ProxyError } from '../base/errors.ts'
import { Gathered } from '../base/gathered.ts'
import type { Share } from '../base/memory-budget.ts'
import { gatewayNames } from './field-names.ts'
import { trimBlanks } from './fields.ts'
import type { HeadLimits, ResponseHead } from './heads.ts'
import { parseResponseHead } from './http1-head.ts'

const CR = 13
const LF = 10

/** With `many-fields`, a head may have this many times `limits.headers`; `limits.head` still holds. */
const manyTimes = 10

/** What each of them accepts, for docs/config.md. */
export const leniencies = {
  'duplicate-length': '`Content-Length` more than once, always with the same value',
  'bare-lf': 'a head whose lines all end with LF instead of CRLF; mixed line endings are refused',
  'odd-status': 'a status from 600 to 999, which is forwarded',
  'control-bytes': 'control characters in field values and the reason phrase; they become spaces',
  'many-fields': `up to ${manyTimes} times \`limits.headers\` fields`,
  'space-before-colon': 'white space between a field name and the colon; it is removed',
  'folded-fields': 'field values that continue on the next line (obs-fold); they become one line',
} as const

export type Leniency = keyof typeof leniencies
export const leniencyNames = Object.keys(leniencies) as readonly Leniency[]

type Mended = {
  readonly head: ResponseHead
  /** Where the head ends, in the bytes of the last `read` */
  readonly end: number
  /** Never empty */
  readonly used: readonly Leniency[]
}

/** One head that comes in pieces. */
export class LenientHead {
  private readonly gathered: Gathered
  private readonly allowed: ReadonlySet<Leniency>
  private scanned = 0
  private lineStart = 0
  /** Whether lines end with a bare LF; null before the end of the first */
  private bare: boolean | null = null

  constructor(allowed: ReadonlySet<Leniency>, share: Share | null) {
    this.allowed = allowed
    this.gathered = new Gathered(share)
  }

  /** Reads on in `bytes[from, bytes.length)`. @returns null where the head is not complete yet, a ProxyError where it never can be */
  read(bytes: Buffer, from: number, limits: HeadLimits): Mended | ProxyError | null {
    const { gathered } = this
    const before = gathered.length
    // Not all that came: what follows the head may be as long as it likes.
    const most = Math.min(bytes.length, from + limits.headBytes - before)
    gathered.append(bytes.subarray(from, most))
    const end = this.findEnd()
    if (end instanceof ProxyError) return end
    if (end < 0) return most < bytes.length ? bad(`head over limits.head (${limits.headBytes} bytes)`) : null
    const lineEnd = this.bare ? '\n' : '\r\n'
    const lines = latin1(gathered.view(), 0, end).split(lineEnd).slice(0, -2)
    const used = new Set<Leniency>(this.bare ? ['bare-lf'] : [])
    const head = mended(lines, used, this.allowed, limits)
    if (head instanceof ProxyError) return head
    return { head, end: from + end - before, used: [...used] }
  }

  view(): Buffer {
    return this.gathered.view()
  }

  /** It has no further use; views of it stay valid. */
  release(): void {
    this.gathered.release()
  }

  /** @returns the position after the empty line, or -1 */
  private findEnd(): number | ProxyError {
    const bytes = this.gathered.view()
    if (this.scanned < 7 && !'HTTP/1.'.startsWith(latin1(bytes, 0, Math.min(bytes.length, 7))))
      return bad('does not begin with HTTP/1.')
    for (let at = this.scanned; at < bytes.length; at++) {
      if (bytes[at] !== LF) continue
      const isBare = bytes[at - 1] !== CR
      this.bare ??= isBare
      if (this.bare && !this.allowed.has('bare-lf')) return bad('a bare LF in the head')
      if (isBare !== this.bare) return bad('line endings of both kinds in the head')
      const start = this.lineStart
      this.scanned = at + 1
      this.lineStart = at + 1
      if ((isBare ? at : at - 1) === start) return at + 1
    }
    this.scanned = bytes.length
    return -1
  }
}

/**
 * For the message of a strict refusal: which leniencies would let the head pass, as far as it has come.
 * @returns empty where none would
 */
export function leniencyHint(
  bytes: Buffer,
  from: number,
  limits: HeadLimits,
  allowed: ReadonlySet<Leniency> | null,
): string {
  for (const text of ends(latin1(bytes, from, Math.min(bytes.length, from + limits.headBytes)))) {
    const read = new LenientHead(new Set(leniencyNames), null).read(Buffer.from(text, 'latin1'), 0, limits)
    if (read === null || read instanceof ProxyError) continue
    const missing = read.used.filter(name => !allowed?.has(name))
    return missing.length === 0 ? '' : `; lenient: [${missing.join(', ')}] of its upstream would accept it`
  }
  return ''
}

/** The head as it came, with the shortest end of its last line, and without that line, which may have just begun */
function ends(begun: string): string[] {
  const lastLine = begun.lastIndexOf('\n') + 1
  const lineEnd = lastLine > 0 && begun[begun.indexOf('\n') - 1] !== '\r' ? '\n' : '\r\n'
  const last = begun.slice(lastLine).replace(/\r$/, '')
  const colon = lastLine === 0 || last === '' || last.includes(':') ? '' : ':'
  const before = begun.slice(0, lastLine)
  return [begun, `${before}${last}${colon}${last === '' ? '' : lineEnd}${lineEnd}`, `${before}${lineEnd}`]
}

function mended(
  lines: readonly string[],
  used: Set<Leniency>,
  allowed: ReadonlySet<Leniency>,
  limits: HeadLimits,
): ResponseHead | ProxyError {
  const may = (name: Leniency) => allowed.has(name) && used.add(name)
  let statusLine = lines[0] ?? ''
  let status = 0
  const odd = /^(HTTP\/1\.[01] )([6-9][0-9][0-9])(?= |$)/.exec(statusLine)
  if (odd !== null && may('odd-status')) {
    status = Number(odd[2])
    // For the parser: any other status says the same of the framing (RFC 9112 section 6.3).
    statusLine = `${odd[1]}599${statusLine.slice(12)}`
  }
  const reason = statusLine.slice(13)
  if (control.test(reason) && may('control-bytes'))
    statusLine = statusLine.slice(0, 13) + reason.replace(controls, ' ')
  let fields = unfolded(lines.slice(1), may).map(line => mendedField(line, may))
  if (fields.filter(isLength).length > 0) fields = withOneLength(fields, may)
  let { headers } = limits
  if (fields.length > headers && may('many-fields')) headers *= manyTimes
  const bytes = Buffer.from([statusLine, ...fields, '', ''].join('\r\n'), 'latin1')
  const head = parseResponseHead(bytes, 0, bytes.length, { ...limits, headBytes: bytes.length, headers })
  if (head instanceof ProxyError) return head
  // Neither happens: the lines that were split are those that were parsed, and the strict parser had refused them.
  if (head === null || head.end !== bytes.length || used.size === 0) return bad('a head that cannot be mended')
  if (status > 0) head.status = status
  return head
}

/** RFC 9112 section 5.2: a fold becomes a space. A field in many folds is put together once. */
function unfolded(lines: readonly string[], may: (name: Leniency) => unknown): string[] {
  const fields: string[][] = []
  let isFixed = true
  for (const line of lines) {
    const isFold = (line.startsWith(' ') || line.startsWith('\t')) && !isFixed
    if (isFold && may('folded-fields')) fields.at(-1)?.push(trimBlanks(line))
    else {
      fields.push([line])
      isFixed = isFraming(line)
    }
  }
  return fields.map(parts => parts.join(' '))
}

function mendedField(line: string, may: (name: Leniency) => unknown): string {
  const colon = line.indexOf(':')
  if (colon < 0 || isFraming(line)) return line
  let name = line.slice(0, colon)
  let value = line.slice(colon + 1)
  const trimmed = trimBlanks(name)
  if (trimmed !== '' && name !== trimmed && name.startsWith(trimmed) && may('space-before-colon')) name = trimmed
  if (control.test(value) && may('control-bytes')) value = value.replace(controls, ' ')
  return `${name}:${value}`
}

/** Repeated fields and a list with one value are the same (RFC 9110 section 8.6). */
function withOneLength(fields: readonly string[], may: (name: Leniency) => unknown): string[] {
  const values = fields.filter(isLength).flatMap(line => line.slice(line.indexOf(':') + 1).split(','))
  const first = trimBlanks(values[0] as string)
  const isSame = /^[0-9]+$/.test(first) && values.every(value => trimBlanks(value) === first)
  if (values.length === 1 || !isSame || !may('duplicate-length')) return [...fields]
  return [...fields.filter(line => !isLength(line)), `content-length: ${first}`]
}

const nameOf = (line: string): string => line.slice(0, Math.max(0, line.indexOf(':'))).toLowerCase()
const isLength = (line: string): boolean => nameOf(line) === 'content-length'
/** Also with white space before the colon, so that it is refused */
const isFraming = (line: string): boolean => gatewayNames.has(nameOf(line).trim())

// All but HTAB, which is allowed, and CR and LF, at which others may end the line
const control = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/
const controls = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g

const bad = (why: string): ProxyError => new ProxyError('BAD_RESPONSE', why)
