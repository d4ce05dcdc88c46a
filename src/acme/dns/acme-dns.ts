/**
 * TXT records by an acme-dns server (github.com/joohoi/acme-dns): `_acme-challenge` of each name is a CNAME that leads to
 * the one name of a registration. It keeps the last two values and has no way to remove one.
 */
import { type HttpClient, shownUrl } from '../http.ts'
import { excerpt } from '../problem.ts'
import type { DnsProvider } from './provider.ts'

type AcmeDnsOptions = {
  /** Of the API, without `/update` */
  readonly url: string
  readonly username: string
  readonly password: string
  readonly subdomain: string
}

export function acmeDnsProvider(
  http: HttpClient,
  { url, username, password, subdomain }: AcmeDnsOptions,
): DnsProvider {
  const target = `${url.replace(/\/+$/, '')}/update`
  return {
    name: `acme-dns ${shownUrl(url)}`,
    atOnce: 2,
    async set(fqdn, value, signal) {
      if (!fqdn.startsWith(`${subdomain}.`))
        throw new Error(
          `${fqdn} does not lead to the acme-dns registration: it must be a CNAME to ${subdomain}.<acme-dns zone>`,
        )
      const headers = { 'content-type': 'application/json', 'x-api-user': username, 'x-api-key': password }
      const body = JSON.stringify({ subdomain, txt: value })
      const answer = await http.request({ method: 'POST', url: target, headers, body }, signal)
      if (answer.status === 200) return
      const said = excerpt(answer.body.toString('utf8', 0, 1000), 200)
      throw new Error(`POST ${shownUrl(target)}: status ${answer.status}${said && `: ${said}`}`)
    },
    async unset() {},
  }
}
