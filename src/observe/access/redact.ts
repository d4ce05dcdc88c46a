/**
 * Queries as an access log shows them: the values of parameters whose names say that they hold a secret are replaced by `***`.
 * Names are compared decoded and in lower case, so that `%74oken` and `Access_Token` are no way around it.
 */

export type QueryMode = 'redacted' | 'all' | 'none'

/** Gives what is shown of a query, which begins with `?` or is empty. */
export type ShownQuery = (query: string) => string

/** Anywhere in a name: `access_token`, `X-Amz-Security-Token`, `apiKey`. */
const inside =
  /token|secret|passw|passphrase|signature|credential|api[-_.]?key|access[-_.]?key|private[-_.]?key|session|jwt|assertion|authori[sz]ation|bearer|saml|verifier/
/** As a word of a name: `key` and `reset-key`, but not `keyword`. */
const words: ReadonlySet<string> = new Set(
  'key code sig auth pwd pass pw sid otp totp pin hmac ticket cookie csrf xsrf'.split(' '),
)

/** @param names further ones to redact, each a whole name */
export function shownQuery(mode: QueryMode, names: readonly string[]): ShownQuery {
  if (mode === 'all') return query => query
  if (mode === 'none') return () => ''
  const own = new Set(names.map(name => name.toLowerCase()))
  return query => (query.includes('=') ? redacted(query, own) : query)
}

function redacted(query: string, own: ReadonlySet<string>): string {
  let shown = ''
  let keptTo = 0
  let start = 1
  while (start < query.length) {
    const end = endOfParameter(query, start)
    const equals = indexWithin(query, '=', start, end)
    if (equals >= 0 && isSecret(decoded(query.slice(start, equals)), own)) {
      shown += `${query.slice(keptTo, equals + 1)}***`
      keptTo = end
    }
    start = end + 1
  }
  return keptTo === 0 ? query : shown + query.slice(keptTo)
}

/** A parameter ends at `&`; some servers also take `;`, and a URL that stands in a query as it is begins another one with `?`. */
function endOfParameter(query: string, from: number): number {
  let at = from
  for (; at < query.length; at++) {
    const code = query.charCodeAt(at)
    if (code === 0x26 || code === 0x3b || code === 0x3f) break
  }
  return at
}

function indexWithin(text: string, char: string, from: number, to: number): number {
  for (let at = from; at < to; at++) if (text[at] === char) return at
  return -1
}

/**
 * Percent-encoded bytes as characters; what they stand for beyond ASCII does not matter here. Twice, since what is behind a backend
 * may decode once more.
 */
const decoded = (name: string): string => (name.includes('%') ? decodedOnce(decodedOnce(name)) : name)

const decodedOnce = (name: string): string =>
  name.replace(/%[0-9a-f]{2}/gi, code => String.fromCharCode(Number.parseInt(code.slice(1), 16)))

function isSecret(name: string, own: ReadonlySet<string>): boolean {
  const lower = name.toLowerCase()
  if (own.has(lower) || inside.test(lower)) return true
  const parts = name
    .replace(/[a-z0-9](?=[A-Z])/g, '$&-')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
  return parts.some(part => words.has(part))
}
