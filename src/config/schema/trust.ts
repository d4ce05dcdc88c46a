/** Rows for `trust` and `lists`: which peers may say who the client of a request is. */
import { unixPeer } from '../../base/ip.ts'
import { addressRange, type Formed } from '../engine/forms.ts'
import { shape } from '../engine/kinds.ts'

const nameForm = /^[A-Za-z][A-Za-z0-9_-]*$/

/** The name of a list; no address is written like one. */
export function listName(text: string): Formed<string> {
  if (text === unixPeer) return { wrong: 'unix stands for the peers of Unix sockets', hint: 'choose another name' }
  if (nameForm.test(text)) return { ok: text }
  return { wrong: `${JSON.stringify(text)} cannot be the name of a list`, hint: 'letters, digits, _ and -' }
}

/** An address range always has a slash in it then, and a name none. */
function rangeOrList(text: string): Formed<string> {
  return nameForm.test(text) ? { ok: text } : addressRange(text)
}

export const trustShape = shape({
  name: 'trust',
  docs:
    'HTTP proxies in front of the gateway (a CDN, a load balancer, another gateway) that may say who the client of a request is. From all ' +
    'other peers these fields are dropped. [behind-a-proxy.md](behind-a-proxy.md) has recipes.',
  rows: {
    from: {
      kind: {
        type: 'list',
        of: { type: 'string', form: rangeOrList, write: 'address range or name of a list' },
        single: true,
      },
      required: true,
      docs:
        'Addresses of the proxies, or names of `lists`; `unix` for the peers of a Unix socket. ' +
        'Behind a PROXY header, the address in the header counts.',
      example: '[10.0.0.0/8, cloudflare]',
    },
    fields: {
      kind: { type: 'choice', of: ['x-forwarded', 'forwarded', 'cf-connecting-ip', 'true-client-ip', 'x-real-ip'] },
      default: 'x-forwarded',
      docs:
        'Where the proxies say it. `x-forwarded`: `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`. `forwarded`: RFC 7239. The client is the ' +
        'rightmost address that is not trusted. The other fields have one address, and their proxies say the scheme in `X-Forwarded-Proto`.',
      example: 'cf-connecting-ip',
    },
    host: {
      kind: { type: 'boolean' },
      default: true,
      docs:
        'With `x-forwarded` and `forwarded`: the host that the proxy was asked for replaces `Host`, for routing too. `false` ignores it: ' +
        'write that if the proxy does not set or remove `X-Forwarded-Host` itself (AWS ALB, Cloudflare), or clients choose it.',
      example: 'false',
    },
  },
})
