/** Hosts as they stand in Host and in request targets, and their canonical form: one for SNI, Host and configuration alike. */
import { parseAddress } from '../base/ip.ts'

/** Lower case, without a port and without the trailing dot; an IPv6 address keeps its brackets. */
export function canonicalHost(host: string): string {
  let end = host.length
  if (host.charCodeAt(0) === 91) end = host.indexOf(']') + 1
  else {
    const colon = host.indexOf(':')
    if (colon >= 0) end = colon
  }
  if (host.charCodeAt(end - 1) === 46) end--
  return (end === host.length ? host : host.slice(0, end)).toLowerCase()
}

const mostName = 254
const mostLabel = 63
const dot = 46
const colon = 58
const hyphen = 45

/**
 * `uri-host [ ":" port ]` without percent-encoding (RFC 9110 section 7.2). A name is one that DNS could hold: no empty
 * label but behind a last dot, and underscores, which some internal names begin with. IPv6 stands in brackets.
 */
export function isHost(text: string): boolean {
  if (text.charCodeAt(0) === 91) {
    const end = text.indexOf(']')
    if (end < 3 || end > 46) return false
    const address = text.slice(1, end)
    return address.includes(':') && parseAddress(address) !== null && isPort(text, end + 1)
  }
  let label = 0
  let at = 0
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === dot) {
      if (label === 0) return false
      label = 0
    } else if (code === colon) break
    else if (!isNameCode(code) || ++label > mostLabel || (label === 1 && code === hyphen)) return false
  }
  return at > 0 && at <= mostName && isPort(text, at)
}

const isNameCode = (code: number): boolean =>
  (code >= 97 && code <= 122) ||
  (code >= 48 && code <= 57) ||
  (code >= 65 && code <= 90) ||
  code === 95 ||
  code === hyphen

/** Nothing, a colon alone (RFC 3986 section 3.2.3), or one and a port. */
function isPort(text: string, from: number): boolean {
  if (from === text.length) return true
  if (text.charCodeAt(from) !== colon || text.length - from > 6) return false
  let port = 0
  for (let at = from + 1; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
  }
  return port <= 65_535
}
