/** As `startsWith`, which costs a call out of compiled code: paths have short prefixes, and are looked at for every request. */
export function beginsWith(text: string, prefix: string): boolean {
  const { length } = prefix
  if (text.length < length) return false
  for (let at = 0; at < length; at++) if (text.charCodeAt(at) !== prefix.charCodeAt(at)) return false
  return true
}
