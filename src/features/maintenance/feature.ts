/** `maintenance`: a page in place of a site, switched on and off in a running gateway. */
import { ProxyError } from '../../base/errors.ts'
import { CidrSet } from '../../base/ip.ts'
import type { RawValue } from '../../config/engine/infer.ts'
import { placeOf } from '../../config/engine/tree.ts'
import type { Reply } from '../../model/filter.ts'
import { needsNoBody, type Sink, type Stage, type StagedExchange, WrappedSink } from '../../model/stage.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import { feature } from '../feature.ts'
import { type Page, pageProblem } from '../pages.ts'
import { maintenanceKind } from './options.ts'

type Written = RawValue<typeof maintenanceKind>

export const maintenance = feature({
  docs: 'A page in place of a site while it is in maintenance.',
  row: {
    kind: maintenanceKind,
    docs:
      'Lets `sallyport maintenance on SITE` put the site into maintenance: clients get a 503 with a page, until `sallyport maintenance off SITE`. ' +
      "`true` uses the page of `errors` for 503, or the gateway's own; `false` on a route leaves that route as it is. ACME challenges go on.",
    example: '{ file: back-soon.html, allow: [10.0.0.0/8], retryAfter: 10m }',
  },
  inherits: 'replaces',
  check(value, node, problems) {
    if (value.as !== 'map' || !value.value?.fileFile) return
    const problem = pageProblem(value.value.fileFile)
    if (problem !== null) problems.error(placeOf(node, 'file'), problem)
  },
  compile(values, { hosts: [site] }, _outward, lasting) {
    const value = values.at(-1)
    if (value === undefined || site === undefined || isOff(value)) return {}
    const { fileFile, allow = [], retryAfterMs } = (value.as === 'map' && value.value) || {}
    const retryAfter = retryAfterMs ? `${Math.ceil(retryAfterMs / 1000)}` : null
    return {
      outside: maintenanceStage({
        state: lasting.maintenance(site),
        page: fileFile ? lasting.page(fileFile) : null,
        allowed: new CidrSet((allow ?? []).filter(range => range !== undefined)),
        retryAfter,
      }),
    }
  },
  explain(value) {
    if (isOff(value)) return 'none'
    const { fileFile, allow } = (value.as === 'map' && value.value) || {}
    const who = (allow ?? []).length > 0 ? ` for clients outside of ${allow?.join(', ')}` : ''
    return `when switched on, 503 ${fileFile ? `with ${fileFile}` : 'with the error page'}${who}`
  },
})

const isOff = (value: Written): boolean => value.as === 'text' && !value.value

type Terms = {
  readonly state: { readonly on: boolean }
  readonly page: { readonly current: Page } | null
  readonly allowed: CidrSet
  readonly retryAfter: string | null
}

function maintenanceStage(terms: Terms): Stage {
  return inner => (exchange, sink) => {
    if (!terms.state.on || passes(exchange, terms)) return inner(exchange, sink)
    const { page, retryAfter } = terms
    if (page === null || exchange.head.grpc) {
      const why = `the site ${exchange.siteName} is in maintenance`
      exchange.failThrough(new RetryAfterSink(sink, retryAfter), new ProxyError('MAINTENANCE', why))
    } else exchange.replyThrough(sink, replyOf(page.current, retryAfter))
    return needsNoBody
  }
}

/** What stays as it is: clients that are allowed, challenges that a backend answers, and refusals that have nothing to do with the site. */
function passes({ client, path, refusal }: StagedExchange, { allowed }: Terms): boolean {
  if (refusal !== null && refusal.code !== 'NO_ROUTE') return true
  return path.startsWith('/.well-known/acme-challenge/') || allowed.contains(client.clientAddress)
}

const replyOf = ({ bytes: body, type }: Page, retryAfter: string | null): Reply => ({
  status: 503,
  headers: {
    'content-type': type,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(retryAfter !== null && { 'retry-after': retryAfter }),
  },
  body,
})

class RetryAfterSink extends WrappedSink {
  private readonly seconds: string | null

  constructor(sink: Sink, seconds: string | null) {
    super(sink)
    this.seconds = seconds
  }

  override answer(head: ResponseHead, bodyless: boolean): void {
    if (this.seconds !== null) head.fields.set('retry-after', this.seconds)
    this.sink.answer(head, bodyless)
  }
}
