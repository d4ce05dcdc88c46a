/**
 * What the admin listener answers: metrics, whether the process lives, and whether it should get traffic. Nothing here
 * changes anything, so that the token only guards what is told.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Readiness } from '../gateway/gateway.ts'
import { contentType } from '../observe/exposition.ts'

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
}

const text = 'text/plain; charset=utf-8'

/** @param token null: nobody is asked for one */
export async function answerAdmin(
  { method, target, accept, authorization }: AdminRequest,
  source: AdminSource,
  token: string | null,
): Promise<AdminAnswer> {
  const path = target.split('?', 1)[0]
  if (path !== '/metrics' && path !== '/healthz' && path !== '/readyz')
    return plain(404, 'not found; there are /metrics, /healthz and /readyz')
  if (method !== 'GET' && method !== 'HEAD') return plain(405, 'GET or HEAD only', { allow: 'GET, HEAD' })
  if (path === '/healthz') return plain(200, 'ok')
  const trusted = token === null || bears(authorization, token)
  if (path === '/readyz') return readyAnswer(await source.readiness(), wantsJson(accept), trusted)
  if (!trusted) return plain(401, 'Authorization: Bearer TOKEN is asked for', { 'www-authenticate': 'Bearer' })
  return { status: 200, fields: { 'content-type': contentType }, body: await source.metrics() }
}

const plain = (status: number, body: string, fields: Readonly<Record<string, string>> = {}): AdminAnswer => ({
  status,
  fields: { 'content-type': text, ...fields },
  body: `${body}\n`,
})

/** @param trusted reasons name sites, and are for whoever has the token */
function readyAnswer({ ready, reasons }: Readiness, json: boolean, trusted: boolean): AdminAnswer {
  const status = ready ? 200 : 503
  if (json) {
    const body = JSON.stringify(trusted ? { ready, reasons } : { ready })
    return { status, fields: { 'content-type': 'application/json' }, body: `${body}\n` }
  }
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
