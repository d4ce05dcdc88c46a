/**
 * The forms of a request path (RFC 3986 section 6.2.2). The strict one is the form that is both routed on and forwarded wherever
 * nothing else is configured, so that gateway and backend cannot understand a path differently: percent-encoded unreserved
 * characters decoded, hex digits in upper case, repeated slashes merged, dot segments removed. The others leave some of that out.
 * Refused in every form: an encoded backslash or NUL, a bad percent-encoding, and a path that climbs above the root.
 */
import { ProxyError } from '../base/errors.ts'

export type PathForm = {
  /** `%2F` stays as it came: a character of its segment. Otherwise it is refused */
  readonly encodedSlash: boolean
  /** Repeated slashes become one */
  readonly merge: boolean
  /** Percent-encodings are put into one form */
  readonly decode: boolean
  /** Dot segments are removed */
  readonly dots: boolean
  /** Of a segment, what follows a `;` is dropped, before dot segments are looked for */
  readonly stripParameters: boolean
}

export const strictForm: PathForm = {
  encodedSlash: false,
  merge: true,
  decode: true,
  dots: true,
  stripParameters: false,
}

/** Without any of this a path is in every form already. */
export const isPlainPath = (raw: string): boolean => !/%|\/\/|\/\.|;/.test(raw)

/** @param raw begins with '/' */
export function pathForm(raw: string, form: PathForm): string | ProxyError {
  const decoded = raw.includes('%') ? decode(raw, form) : raw
  return decoded instanceof ProxyError ? decoded : segmented(decoded, form)
}

function decode(raw: string, form: PathForm): string | ProxyError {
  let decoded = ''
  for (let at = 0; at < raw.length; at++) {
    const char = raw[at] as string
    if (char !== '%') {
      decoded += char
      continue
    }
    const hex = raw.slice(at + 1, at + 3)
    if (!/^[0-9A-Fa-f]{2}$/.test(hex)) return bad('a % that is not followed by two hex digits')
    const code = Number.parseInt(hex, 16)
    if ((code === 0x2f && !form.encodedSlash) || code === 0x5c || code === 0) return bad(`%${hex} in the path`)
    const plain = String.fromCharCode(code)
    if (!form.decode || code === 0x2f) decoded += `%${hex}`
    else decoded += /[A-Za-z0-9._~-]/.test(plain) ? plain : `%${hex.toUpperCase()}`
    at += 2
  }
  return decoded
}

function segmented(path: string, form: PathForm): string | ProxyError {
  const kept: string[] = []
  let depth = 0
  const segments = path.split('/')
  for (let at = 1; at < segments.length; at++) {
    const whole = segments[at] as string
    const segment = form.stripParameters ? (whole.split(';', 1)[0] as string) : whole
    const last = at === segments.length - 1
    const dots = dotsOf(segment, form)
    if (dots === 0) {
      if (segment === '' && form.merge && !last) continue
      depth++
      kept.push(segment)
      continue
    }
    if (dots === 2 && --depth < 0) return bad('the path climbs above the root')
    if (!form.dots) kept.push(segment)
    else {
      if (dots === 2) kept.pop()
      if (last) kept.push('')
    }
  }
  return `/${kept.join('/')}`
}

/** 1 for `.`, 2 for `..`, 0 for any other segment. Where they stay, encoded ones count too: a backend may resolve them. */
function dotsOf(segment: string, { dots }: PathForm): 0 | 1 | 2 {
  const plain = dots || segment.length > 6 ? segment : segment.replaceAll(/%2e/gi, '.')
  return plain === '..' ? 2 : plain === '.' ? 1 : 0
}

const bad = (why: string): ProxyError => new ProxyError('BAD_PATH', why)
