/** Request targets (RFC 9112 section 3.2). Their paths come in the strict form of path-form.ts, and as they were sent. */
import { ProxyError } from '../base/errors.ts'
import { isHost } from './host.ts'
import { pathForm, strictForm } from './path-form.ts'

export type Target = {
  /** Strict form, beginning with '/'; or '*'. Empty where there is a problem */
  readonly path: string
  /** As sent */
  readonly raw: string
  /** Why the path has no strict form, or null */
  readonly problem: ProxyError | null
  /** With its '?', as sent; empty where there is none */
  readonly query: string
  /** From the absolute form: takes the place of the Host field (RFC 9112 section 3.2.2) */
  readonly authority: string | null
}

/** Anything here means that the path may not be in normal form yet. */
const suspicious = /%|\/\/|\/\./

export function parseTarget(method: string, target: string): Target | ProxyError {
  if (target.charCodeAt(0) === 47) return split(target, null)
  if (target === '*') {
    return method === 'OPTIONS' ? all(null) : bad('the target * is for OPTIONS only')
  }
  const absolute = /^https?:\/\/([^/?]*)(.*)$/i.exec(target)
  if (absolute === null) return bad('the request target is neither a path nor an http URL')
  const authority = absolute[1] as string
  const rest = absolute[2] as string
  if (!isHost(authority)) return bad('the host of the request target is not a host name')
  // OPTIONS for a server as a whole comes as an absolute form without a path (RFC 9112 section 3.2.4).
  if (rest === '' && method === 'OPTIONS') return all(authority.toLowerCase())
  return split(rest.startsWith('/') ? rest : `/${rest}`, authority.toLowerCase())
}

const all = (authority: string | null): Target => ({ path: '*', raw: '*', problem: null, query: '', authority })

function split(target: string, authority: string | null): Target {
  const mark = target.indexOf('?')
  const raw = mark < 0 ? target : target.slice(0, mark)
  const query = mark < 0 ? '' : target.slice(mark)
  if (!suspicious.test(raw)) return { path: raw, raw, problem: null, query, authority }
  const path = pathForm(raw, strictForm)
  return path instanceof ProxyError
    ? { path: '', raw, problem: path, query, authority }
    : { path, raw, problem: null, query, authority }
}

const bad = (why: string): ProxyError => new ProxyError('BAD_REQUEST', why)
