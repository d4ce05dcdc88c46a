/** `strip`: takes a prefix off the path before the origin is asked. */
import { beginsWith } from '../../base/begins-with.ts'
import type { Formed } from '../../config/engine/forms.ts'
import type { Stage } from '../../model/stage.ts'
import { feature } from '../feature.ts'

function prefix(text: string): Formed<string> {
  if (!text.startsWith('/')) return { wrong: `${text}: a prefix begins with /`, hint: `write /${text}` }
  if (/[*?#\x00-\x20\x7f\\%]/.test(text) || text.includes('//') || /\/\.{1,2}(\/|$)/.test(text))
    return {
      wrong: `${text}: a prefix is a plain path`,
      hint: 'patterns are for rewrite: { from: /v1/*, to: /internal/* }',
    }
  const bare = text.replace(/\/$/, '')
  return bare === '' ? { wrong: '/ cannot be stripped from a path', hint: 'remove strip' } : { ok: bare }
}

export const strip = feature({
  docs: 'Takes a prefix off the path: with `strip: /api`, `/api/x` arrives as `/x` and `/api` as `/`.',
  row: {
    kind: { type: 'list', of: { type: 'string', form: prefix, write: 'path' }, single: true },
    docs:
      'A prefix to remove from the path before the request is forwarded; with several, the first that matches. Only whole segments ' +
      'match: `/api` does not affect `/apis`. Routes and the log see the original path.',
    example: '/api',
  },
  inherits: 'replaces',
  compile: values => ({ inside: stripStage(values.at(-1) ?? []) }),
  outward(values) {
    const prefixes = values.at(-1) ?? []
    return (path, exchange) => (prefixOf(exchange.path, prefixes) ?? '') + path
  },
  explain: prefixes => `takes ${prefixes.join(' or ')} off the path`,
})

function stripStage(prefixes: readonly string[]): Stage {
  return inner => (exchange, sink) => {
    const path = exchange.forwardPath
    const taken = prefixOf(path, prefixes)
    if (taken !== null) exchange.forwardPath = path.length === taken.length ? '/' : path.slice(taken.length)
    return inner(exchange, sink)
  }
}

/** The first that the path begins with, in whole segments; null without one. */
function prefixOf(path: string, prefixes: readonly string[]): string | null {
  for (const each of prefixes) {
    if (beginsWith(path, each) && (path.length === each.length || path.charCodeAt(each.length) === 0x2f))
      return each
  }
  return null
}
