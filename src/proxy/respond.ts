/**
 * The gateway's own answers: errors as small HTML or JSON, by what the client accepts, with the id under which the
 * log has the whole story. Nothing of the inside is said: no addresses, no reasons, no version.
 */
import { STATUS_CODES } from 'node:http'
import { errorTable, type ErrorCode } from '../base/errors.ts'

export type OwnAnswer = { readonly status: number; readonly reason: string; readonly text: string; readonly body: Buffer }

export const reasonOf = (status: number): string => STATUS_CODES[status] ?? ''

/** @param accept the client's Accept field, or null */
export function errorAnswer(code: ErrorCode, accept: string | null, id: string): OwnAnswer {
  const row = errorTable[code]
  const status = row.status === 0 ? 500 : row.status
  const reason = reasonOf(status)
  const json = accept !== null && /\bjson\b/i.test(accept) && !/\btext\/html\b/i.test(accept)
  const body = json ? `${JSON.stringify({ status, error: reason, code, id })}\n` : page(status, reason, hintOf(code), id)
  const type = json ? 'application/json' : 'text/html; charset=utf-8'
  // An error is never to be kept by a cache, nor read as another type.
  const text = `content-type: ${type}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n`
  return { status, reason, text, body: Buffer.from(body) }
}

const hints: Partial<Record<ErrorCode, string>> = {
  PLAIN_HTTP_ON_TLS_PORT: 'This port speaks HTTPS. Use https:// in the address.',
  MISDIRECTED: 'This host name needs a connection of its own.',
}

const hintOf = (code: ErrorCode): string => hints[code] ?? ''

function page(status: number, reason: string, hint: string, id: string): string {
  const says = hint === '' ? '' : `<p>${hint}</p>`
  return (
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>${status} ${reason}</title>` +
    '<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em;color:#222;background:#fff}' +
    'small{color:#666}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}small{color:#999}}</style>' +
    `<h1>${status} ${reason}</h1>${says}<p><small>Request ${id}</small></p></html>\n`
  )
}
