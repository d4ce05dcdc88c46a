/**
 * One Set-Cookie of a backend (RFC 6265 section 4.1), with other attributes. Its name, its value and attributes that nobody
 * asked to change stay as they came; what is not a cookie stays whole. One pass over the attributes.
 */

export type CookieChange = {
  /** In place of a Domain that is there: this one, or '' for none */
  readonly domain: string | null
  /** Of a Path that is there: what clients know it by; null leaves it out */
  readonly path: ((path: string) => string | null) | null
  readonly secure: boolean | null
  readonly httpOnly: boolean | null
  /** As written in the attribute; '' for none */
  readonly sameSite: string | null
}

export function changeCookie(cookie: string, change: CookieChange): string {
  const [pair, ...attributes] = cookie.split(';') as [string, ...string[]]
  const name = nameOf(cookie)
  if (name === null) return cookie
  // Clients refuse these names without what they promise (RFC 6265bis section 4.1.3).
  const prefix = /^__(?:host|secure)-/i.exec(name)?.[0].toLowerCase()
  const promisesHost = prefix === '__host-'
  const { domain, path, httpOnly, sameSite } = change
  const secure = sameSite === 'None' ? true : change.secure === false && prefix !== undefined ? null : change.secure
  const kept: string[] = [pair]
  for (const attribute of attributes) {
    const equals = attribute.indexOf('=')
    const value = equals < 0 ? '' : attribute.slice(equals + 1).trim()
    switch ((equals < 0 ? attribute : attribute.slice(0, equals)).trim().toLowerCase()) {
      case 'domain':
        if (domain === null || promisesHost) kept.push(attribute)
        else if (domain !== '') kept.push(` Domain=${domain}`)
        break
      case 'path': {
        const other = path === null || promisesHost || !value.startsWith('/') ? value : path(value)
        if (other === value) kept.push(attribute)
        else if (other !== null) kept.push(` Path=${other}`)
        break
      }
      case 'secure':
        if (secure === null) kept.push(attribute)
        break
      case 'httponly':
        if (httpOnly === null) kept.push(attribute)
        break
      case 'samesite':
        if (sameSite === null) kept.push(attribute)
        break
      default:
        kept.push(attribute)
    }
  }
  if (secure) kept.push(' Secure')
  if (httpOnly) kept.push(' HttpOnly')
  if (sameSite) kept.push(` SameSite=${sameSite}`)
  return kept.join(';')
}

/** Null where clients would ignore it. */
export function nameOf(cookie: string): string | null {
  const equals = cookie.indexOf('=')
  const end = cookie.indexOf(';')
  if (equals < 0 || (end >= 0 && end < equals)) return null
  const name = cookie.slice(0, equals).trim()
  return name === '' ? null : name
}
