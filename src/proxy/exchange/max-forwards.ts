/**
 * Max-Forwards of OPTIONS and TRACE (RFC 9110 section 7.6.2): at 0 the request goes no further and is answered here, else it
 * is passed on with one less.
 */
import { ProxyError } from '../../base/errors.ts'
import type { Reply } from '../../model/filter.ts'
import type { RequestHead } from '../../wire/heads.ts'

const name = 'max-forwards'

const counts = ({ method }: RequestHead): boolean => method === 'OPTIONS' || method === 'TRACE'

/** What is wrong with the field, or null. With two of them this hop and the next could count differently. */
export function maxForwardsProblem(head: RequestHead): ProxyError | null {
  if (!counts(head)) return null
  const values = head.fields.getAll(name)
  if (values.length === 0 || (values.length === 1 && /^[0-9]{1,9}$/.test(values[0] as string))) return null
  return new ProxyError('BAD_REQUEST', 'Max-Forwards is not one number')
}

/** Counts it down. @returns the answer of the last hop, or null where the request goes on */
export function atLastHop(head: RequestHead, host: string): Reply | null {
  const value = counts(head) ? head.fields.get(name) : null
  if (value === null) return null
  const left = Number(value)
  if (left === 0) return head.method === 'OPTIONS' ? { status: 200 } : reflection(head, host)
  head.fields.set(name, `${left - 1}`)
  return null
}

/**
 * What arrived here, as message/http (RFC 9110 section 9.3.8). Of the fields only those that a trace is about: any other may
 * be a secret of the client.
 */
function reflection({ target, fields, minor, version }: RequestHead, host: string): Reply {
  const spoken = version === 2 ? '2' : `1.${minor}`
  const via = fields.getAll('via').map(each => `via: ${each}\r\n`)
  const lines = `TRACE ${target} HTTP/${spoken}\r\nhost: ${host}\r\n${via.join('')}${name}: 0\r\n\r\n`
  return { status: 200, headers: { 'content-type': 'message/http' }, body: Buffer.from(lines, 'latin1') }
}
