/** `cookies`: other attributes for the cookies of backends that do not know their outside. */
import type { RawValue } from '../../config/engine/infer.ts'
import { placeOf } from '../../config/engine/tree.ts'
import type { Link } from '../../model/link.ts'
import { type Sink, type Stage, type StagedExchange, WrappedSink } from '../../model/stage.ts'
import { fieldNames } from '../../wire/fields.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import { feature, type Outward } from '../feature.ts'
import { cookiesKind } from './options.ts'
import { type CookieChange, changeCookie, nameOf } from './set-cookie.ts'

type Written = NonNullable<RawValue<typeof cookiesKind>[number]>

export const cookies = feature({
  docs: 'Changes `Domain`, `Path`, `Secure`, `HttpOnly` and `SameSite` of cookies that backends set.',
  row: {
    kind: cookiesKind,
    docs:
      'Changes attributes of cookies that backends set: for all of them, or for those with certain names. With several entries, each one whose ' +
      '`names` match applies, in the order written.',
    example: '{ path: rewrite, secure: true, sameSite: lax }',
  },
  inherits: 'replaces',
  check(value, node, problems) {
    for (const [index, entry] of value.entries()) {
      if (entry?.sameSite === 'none' && entry.secure === false)
        problems.error(placeOf(node, index), 'clients refuse SameSite=None without Secure', 'remove secure: false')
    }
  },
  compile(values, _where, outward) {
    const entries = writtenOf(values.at(-1))
    return entries.length === 0 ? {} : { inside: cookiesStage(entries.map(entry => compileEntry(entry, outward))) }
  },
  explain(value) {
    return writtenOf(value).map(explained).join('; ')
  },
})

const writtenOf = (value: RawValue<typeof cookiesKind> | undefined): readonly Written[] =>
  (value ?? []).filter(entry => entry !== undefined)

type Entry = { readonly names: ReadonlySet<string> | null; changeFor(exchange: StagedExchange): CookieChange }

const sameSites = { strict: 'Strict', lax: 'Lax', none: 'None', remove: '' } as const

function compileEntry(written: Written, outward: Outward): Entry {
  const { names = [], domain = null, path = null, secure = null, httpOnly = null, sameSite } = written
  const fixed = { secure, httpOnly, sameSite: sameSite ? sameSites[sameSite] : null }
  return {
    names: names.length === 0 ? null : new Set(names),
    changeFor: exchange => ({
      ...fixed,
      domain: domain === null || covers(domain, exchange.host) ? domain : '',
      path: path === null ? null : path === 'rewrite' ? from => knownBy(from, exchange, outward) : () => path,
    }),
  }
}

/** Whether a client takes a cookie for this domain from this host (RFC 6265 section 5.3). */
function covers(domain: string, host: string): boolean {
  const name = host.replace(/:\d*$/, '')
  return name === domain || name.endsWith(`.${domain}`)
}

/** The root of the backend is what was stripped, which a cookie for it covers with all that is below. */
function knownBy(path: string, exchange: StagedExchange, outward: Outward): string {
  const known = outward(path, exchange)
  return known === null ? path : path.endsWith('/') && known !== '/' ? known.replace(/\/$/, '') : known
}

const cookiesStage =
  (entries: readonly Entry[]): Stage =>
  inner =>
  (exchange, sink) =>
    inner(exchange, new CookiesSink(sink, exchange, entries))

const setCookie = fieldNames(['set-cookie'])

class CookiesSink extends WrappedSink {
  private readonly exchange: StagedExchange
  private readonly entries: readonly Entry[]

  constructor(sink: Sink, exchange: StagedExchange, entries: readonly Entry[]) {
    super(sink)
    this.exchange = exchange
    this.entries = entries
  }

  override answer(head: ResponseHead, bodyless: boolean): void {
    this.change(head)
    this.sink.answer(head, bodyless)
  }

  override switched(head: ResponseHead, backend: Link, early: readonly Buffer[]): void {
    this.change(head)
    this.sink.switched(head, backend, early)
  }

  private change(head: ResponseHead): void {
    const { exchange, entries } = this
    // The gateway's own cookies are as they should be.
    if (exchange.answersItself || exchange.attempts.endpoint === null) return
    head.fields.change(setCookie, cookie => {
      const name = nameOf(cookie)
      if (name === null) return cookie
      let changed = cookie
      for (const { names, changeFor } of entries)
        if (names === null || names.has(name)) changed = changeCookie(changed, changeFor(exchange))
      return changed
    })
  }
}

function explained({ names = [], domain, path, secure, httpOnly, sameSite }: Written): string {
  const parts = [
    domain == null ? '' : domain === '' ? 'no Domain' : `Domain ${domain}`,
    path == null ? '' : path === 'rewrite' ? 'Path as clients know it' : `Path ${path}`,
    secure == null ? '' : secure ? 'Secure' : 'no Secure',
    httpOnly == null ? '' : httpOnly ? 'HttpOnly' : 'no HttpOnly',
    !sameSite ? '' : sameSite === 'remove' ? 'no SameSite' : `SameSite ${sameSite}`,
  ]
  const what = parts.filter(part => part !== '').join(', ')
  return names.length === 0 ? what : `${what} for ${names.join(', ')}`
}
