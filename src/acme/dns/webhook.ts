/** TXT records by a POST of `{ action, fqdn, value }` to a URL. */
import { createHmac } from 'node:crypto'
import { type HttpClient, shownUrl } from '../http.ts'
import { excerpt } from '../problem.ts'
import type { DnsProvider } from './provider.ts'

type WebhookOptions = {
  readonly url: string
  /** Sent as `Authorization: Bearer` */
  readonly token: string | null
  /** Signs `TIMESTAMP.BODY` with HMAC-SHA-256 */
  readonly secret: string | null
}

export function webhookProvider(http: HttpClient, { url, token, secret }: WebhookOptions): DnsProvider {
  const send = async (action: 'set' | 'unset', fqdn: string, value: string, signal: AbortSignal) => {
    const body = JSON.stringify({ action, fqdn, value })
    const headers: Record<string, string> = { 'content-type': 'application/json' }
    if (token !== null) headers['authorization'] = `Bearer ${token}`
    if (secret !== null) {
      // With the time in it, so that a request that was recorded is of no use later.
      const at = String(Math.floor(Date.now() / 1000))
      headers['x-sallyport-timestamp'] = at
      headers['x-sallyport-signature'] =
        `sha256=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`
    }
    const answer = await http.request({ method: 'POST', url, headers, body }, signal)
    if (answer.status >= 200 && answer.status < 300) return
    const said = excerpt(answer.body.toString('utf8', 0, 1000), 200)
    throw new Error(`POST ${shownUrl(url)}: status ${answer.status}${said && `: ${said}`}`)
  }
  return {
    name: `webhook ${shownUrl(url)}`,
    set: (fqdn, value, signal) => send('set', fqdn, value, signal),
    unset: (fqdn, value, signal) => send('unset', fqdn, value, signal),
  }
}
