/**
 * Endpoints that are Unix sockets: `http+unix:/run/app.sock`, and `https+unix:` and `h2c+unix:` alike. The path is absolute and short
 * enough for `sun_path`, which every system limits: what is too long would only fail when somebody connects.
 */
type UnixEndpoint = {
  readonly scheme: 'http' | 'https' | 'h2c'
  readonly host: string
  readonly port: 0
  readonly unix: true
}

type Formed = { readonly ok: UnixEndpoint } | { readonly wrong: string; readonly hint?: string }

/** Of 108 bytes on Linux and 104 elsewhere the last is a NUL. */
const mostPathBytes = process.platform === 'linux' ? 107 : 103

const example = 'http+unix:/run/app.sock'

/** @returns null where the text does not mean a Unix socket */
export function unixEndpoint(text: string): Formed | null {
  if (/^unix:/i.test(text))
    return { wrong: `${text}: the protocol is missing`, hint: `write ${example}, https+unix: or h2c+unix:` }
  const found = /^(http|https|h2c|wss?)\+unix:(.*)$/is.exec(text)
  if (found === null) return null
  const scheme = found[1]!.toLowerCase()
  const path = found[2]!
  if (scheme !== 'http' && scheme !== 'https' && scheme !== 'h2c')
    return {
      wrong: `${text}: an endpoint is http+unix:, https+unix: or h2c+unix:`,
      hint: 'WebSockets pass through http endpoints',
    }
  return problemOf(path, text, example) ?? { ok: { scheme, host: path, port: 0, unix: true } }
}

type Wrong = Exclude<Formed, { readonly ok: unknown }>

/** @param text what is written, with the path in it */
function problemOf(path: string, text: string, example: string): Wrong | null {
  if (path.startsWith('//'))
    return { wrong: `${text}: there is no host in it`, hint: `write one slash, as in ${example}` }
  if (!path.startsWith('/'))
    return { wrong: `${text}: the path of a Unix socket is absolute`, hint: `as in ${example}` }
  if (/[\x00-\x1f\x7f?#]/.test(path))
    return { wrong: `${text}: a path of a Unix socket has no query and no control characters` }
  if (/%[0-9a-f]{2}/i.test(path))
    return {
      wrong: `${text}: the path is used as written, without %-escapes`,
      hint: 'write the characters themselves',
    }
  if (path.endsWith('/')) return { wrong: `${text}: that is a folder, not a socket` }
  const bytes = Buffer.byteLength(path)
  if (bytes > mostPathBytes)
    return {
      wrong: `${text}: the path has ${bytes} bytes, and the path of a Unix socket has at most ${mostPathBytes}`,
      hint: 'give the socket a shorter path',
    }
  return null
}

/** The path of a socket to listen at. */
export function socketPath(text: string): { readonly ok: string } | Wrong {
  return problemOf(text, text, '/run/sallyport/http.sock') ?? { ok: text }
}
