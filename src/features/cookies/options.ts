/** Rows for `cookies`: attributes of the cookies that backends set. */
import { cookieName, type Formed } from '../../config/engine/forms.ts'
import { kind, shape } from '../../config/engine/kinds.ts'
import { isHost } from '../../wire/host.ts'

/** '' removes the attribute. */
function domain(text: string): Formed<string> {
  if (text === 'remove') return { ok: '' }
  const bare = text.replace(/^\./, '').toLowerCase()
  if (!isHost(bare) || /[:[\]]/.test(bare) || !/[a-z]/.test(bare))
    return { wrong: `${text} is not a domain`, hint: 'as in example.com, or remove' }
  return { ok: bare }
}

/** 'rewrite', or a path in place of every other. */
function path(text: string): Formed<string> {
  if (text === 'rewrite') return { ok: text }
  if (/^\/[\x21-\x3a\x3c-\x7e]*$/.test(text)) return { ok: text }
  return { wrong: `${text}: rewrite, or a path that begins with /`, hint: 'as in path: rewrite, or path: /' }
}

const cookieShape = shape({
  name: 'cookies',
  docs: "Changes attributes of cookies (`Set-Cookie`) that backends set. Names, values and all other attributes are unchanged, and so are the gateway's own cookies.",
  rows: {
    names: {
      kind: { type: 'list', of: { type: 'string', form: cookieName, write: 'name' }, single: true },
      defaultDocs: 'all cookies',
      docs: 'Names of the cookies to change; upper and lower case differ.',
      example: '[session]',
    },
    domain: {
      kind: { type: 'string', form: domain, write: 'domain' },
      docs:
        'Replaces a `Domain` attribute; a cookie without one stays limited to its host. `remove` takes the attribute away, and so does a domain ' +
        'that the requested host is not part of, because clients would refuse the cookie.',
      example: 'example.com',
    },
    path: {
      kind: { type: 'string', form: path, write: 'path' },
      docs:
        '`rewrite` takes a `Path` attribute back through `strip` and `rewrite`: with `strip: /app`, `/` becomes `/app`. A path replaces every ' +
        '`Path` attribute. A cookie without one is not changed.',
      example: 'rewrite',
    },
    secure: {
      kind: { type: 'boolean' },
      docs: '`true` adds `Secure`, `false` removes it. Clients refuse cookies with `Secure` that they get in cleartext.',
      example: 'true',
    },
    httpOnly: {
      kind: { type: 'boolean' },
      docs: '`true` adds `HttpOnly`, which hides a cookie from scripts; `false` removes it.',
      example: 'true',
    },
    sameSite: {
      kind: { type: 'choice', of: ['strict', 'lax', 'none', 'remove'] },
      docs: 'Sets `SameSite`, or removes it. `none` adds `Secure` too, which clients require with it.',
      example: 'lax',
    },
  },
})

export const cookiesKind = kind({ type: 'list', of: { type: 'object', shape: cookieShape }, single: true })
