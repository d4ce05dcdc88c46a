/** `log.access.syslog`: the address of a syslog server, as a URL. */
import { isIP } from 'node:net'
import { type Formed, parseHostName } from './engine/forms.ts'

type SyslogServer = { readonly scheme: 'udp' | 'tcp'; readonly host: string; readonly port: number }

/** RFC 5426 and RFC 6587 */
const standardPorts = { udp: 514, tcp: 601 } as const

export function syslogServer(text: string): Formed<SyslogServer> {
  const [, scheme, rest] = /^([a-z]+):\/\/([^/]+)$/.exec(text) ?? []
  const hint = 'as in udp://127.0.0.1:514 or tcp://logs.internal:601'
  if (rest === undefined || (scheme !== 'udp' && scheme !== 'tcp'))
    return { wrong: `${text} is not the address of a syslog server`, hint }
  const [, named = rest, digits] = /^(.*?)(?::([0-9]{1,5}))?$/.exec(rest) ?? []
  const port = digits === undefined ? standardPorts[scheme] : Number(digits)
  const bare = named.startsWith('[') && named.endsWith(']') ? named.slice(1, -1) : named
  const host = isIP(bare) === 0 ? parseHostName(bare) : bare
  if (host === null || (isIP(bare) === 6) !== (bare !== named) || port < 1 || port > 65_535)
    return { wrong: `${text} is not the address of a syslog server`, hint }
  return { ok: { scheme, host, port } }
}

/** APP-NAME of RFC 5424 */
export function syslogTag(text: string): Formed<string> {
  if (/^[\x21-\x7e]{1,48}$/.test(text)) return { ok: text }
  return { wrong: `'${text}' is not a tag`, hint: '1 to 48 visible ASCII characters, without spaces' }
}
