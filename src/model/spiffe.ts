/** SPIFFE ids (spiffe.io, SPIFFE-ID section 2): a trust domain and a path, in one spelling only. */

/** No empty segment, `.`, `..` or percent-encoding: ids are compared as text, and have no second spelling. */
export function isSpiffeId(text: string): boolean {
  if (text.length > 2048 || !/^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)*$/.test(text)) return false
  return !/\/\.{1,2}(?:\/|$)/.test(text.slice('spiffe://'.length))
}

/** @param pattern an id, or one with `/*` behind it: everything below, and not itself */
export function fitsSpiffeId(pattern: string, id: string): boolean {
  return pattern.endsWith('/*') ? id.startsWith(pattern.slice(0, -1)) : id === pattern
}
