/**
 * What the admin listener answers: metrics, whether the process lives, whether it should get traffic, and commands that tell
 * something. Nothing here changes anything, so that the token only guards what is told.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Readiness } from '../gateway/gateway.ts'
import { contentType } from '../observe/exposition.ts'
import { type CommandAnswer, isCommandPath } from './http-commands.ts'

type AdminRequest = {
  readonly method: string
  readonly target: string
  readonly accept: string
  readonly authorization: string
}

type AdminAnswer = {
  readonly status: number
  readonly fields: Readonly<Record<string, string>>
  readonly body: string
}

/** Where answers come from. */
export type AdminSource = {
  metrics(): Promise<string>
  readiness(): Promise<Readiness>
  command(path: string, query: string): Promise<CommandAnswer>
}

const text = 'text/plain; charset=utf-8'

/** @param token null: nobody is asked for one */
export async function answerAdmin(
  { method, target, accept, authorization }: AdminRequest,
  source: AdminSource,
  token: string | null,
): Promise<AdminAnswer> {
  const at = target.indexOf('?')
  const path = at < 0 ? target : target.slice(0, at)
  const forCommand = isCommandPath(path)
  if (path !== '/metrics' && path !== '/healthz' && path !== '/readyz' && !forCommand)
    return plain(404, 'not found; there are /metrics, /healthz, /readyz and /control/')
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'GET or HEAD only', { allow: 'GET, HEAD' })
  if (path === '/healthz') return plain(200, 'ok')
  const trusted = token === null || bears(authorization, token)
  if (path === '/readyz') return readyAnswer(await source.readiness(), wantsJson(accept), trusted)
  if (!trusted) return plain(401, 'Authorization: Bearer TOKEN is asked for', { 'www-authenticate': 'Bearer' })
  if (!forCommand) return { status: 200, fields: { 'content-type': contentType }, body: await source.metrics() }
  // Unlike metrics they name clients: a listener without a token does not tell them to whoever reaches it.
  if (token === null) return plain(403, 'commands are answered here only where admin.token is set')
  const { status, body } = await source.command(path, at < 0 ? '' : target.slice(at + 1))
  return json(status, body)
}

const json = (status: number, body: unknown): AdminAnswer => ({
  status,
  fields: { 'content-type': 'application/json' },
  body: `${JSON.stringify(body)}\n`,
})

const plain = (status: number, body: string, fields: Readonly<Record<string, string>> = {}): AdminAnswer => ({
  status,
  fields: { 'content-type': text, ...fields },
  body: `${body}\n`,
})

/** @param wanted as JSON. @param trusted reasons name sites, and are for whoever has the token */
function readyAnswer({ ready, reasons }: Readiness, wanted: boolean, trusted: boolean): AdminAnswer {
  const status = ready ? 200 : 503
  if (wanted) return json(status, trusted ? { ready, reasons } : { ready })
  const lines = trusted ? reasons.map(reason => reason.replace(/[\x00-\x1f\x7f]/g, '\ufffd')) : []
  return plain(status, [ready ? 'ready' : 'not ready', ...lines].join('\n'))
}

const wantsJson = (accept: string): boolean => /(?:^|,)\s*application\/json\s*(?:$|[,;])/i.test(accept)

/** Digests are of one length whatever was sent: neither that nor the first wrong character shows in the time it takes. */
function bears(authorization: string, token: string): boolean {
  const given = /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? ''
  return timingSafeEqual(digest(given), digest(token))
}

const digest = (value: string): Buffer => createHash('sha256').update(value).digest()
