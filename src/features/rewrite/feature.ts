/** `rewrite`: another path for the origin, by a pattern whose stars are carried over. */
import { pathPattern } from '../../config/engine/forms.ts'
import { shape } from '../../config/engine/kinds.ts'
import { childOf, placeOf } from '../../config/engine/tree.ts'
import type { Stage } from '../../model/stage.ts'
import { type Captures, compileCaptures } from '../../route/captures.ts'
import { feature } from '../feature.ts'

const rewriteShape = shape({
  name: 'rewrite',
  docs: 'Rewrites the path for the backend. The query is unchanged, and so is a path that `from` does not match.',
  rows: {
    from: {
      kind: { type: 'string', form: pathPattern, write: 'path' },
      required: true,
      docs: 'A pattern as in `match.path`, matched against the whole path, after `strip`.',
      example: '/v1/*',
    },
    to: {
      kind: { type: 'string', form: pathPattern, write: 'path' },
      required: true,
      docs: 'The new path. Each `*` is replaced by what the `*` in the same position of `from` matched.',
      example: '/internal/*',
    },
  },
})

export const rewrite = feature({
  docs: 'Rewrites the path for the backend. The query is unchanged, and so is a path that `from` does not match.',
  row: {
    kind: { type: 'object', shape: rewriteShape },
    docs: 'Rewrites the path for the backend, by a pattern.',
    example: '{ from: /v1/*, to: /internal/* }',
  },
  inherits: 'replaces',
  check(value, node, problems) {
    if (value.from === undefined || value.to === undefined) return
    const [had, wanted] = [starsIn(value.from), starsIn(value.to)]
    if (wanted > had)
      problems.error(
        placeOf(node, 'to'),
        `to has ${wanted} stars, and from has ${had}`,
        'each * in to is replaced by what the * in the same position of from matched',
      )
    else if (childOf(node, 'to') && value.to.endsWith('/*') !== value.from.endsWith('/*') && wanted > 0)
      problems.error(
        placeOf(node, 'to'),
        'a final /* matches everything below, and any other * part of one segment: one cannot replace the other',
        'end both with /*, or neither',
      )
  },
  compile(values) {
    const { from, to } = values.at(-1) ?? {}
    return from === undefined || to === undefined
      ? {}
      : { inside: rewriteStage(compileCaptures(from), piecesOf(to)) }
  },
  outward(values) {
    const { from, to } = values.at(-1) ?? {}
    if (from === undefined || to === undefined) return path => path
    const [matches, matchesBack] = [compileCaptures(from), compileCaptures(to)]
    // Stars that `to` has none for cannot be told from what the backend says.
    const back = starsIn(from) === starsIn(to) ? filling(piecesOf(from)) : null
    return path => {
      const taken = matchesBack(path)
      if (taken !== null) return back === null ? null : back(taken)
      return matches(path) === null ? path : null
    }
  },
  explain: ({ from, to }) => `${from} becomes ${to}`,
})

const starsIn = (pattern: string): number => pattern.split('*').length - 1

/** What stands between the stars; the slash before a last star comes with what it took. */
const piecesOf = (to: string): readonly string[] => (to.endsWith('/*') ? `${to.slice(0, -2)}*` : to).split('*')

function rewriteStage(captures: Captures, pieces: readonly string[]): Stage {
  const fill = filling(pieces)
  return inner => (exchange, sink) => {
    const taken = captures(exchange.forwardPath)
    if (taken !== null) exchange.forwardPath = fill(taken)
    return inner(exchange, sink)
  }
}

/** Puts what stars took between the pieces. */
function filling(pieces: readonly string[]): (taken: readonly string[]) => string {
  // A star that is a whole segment may have taken nothing; an empty segment would be another path to some backends.
  const fills = pieces.some((piece, at) => piece.startsWith('/') && pieces[at - 1]?.endsWith('/'))
  return taken => {
    let path = pieces[0] as string
    for (let at = 1; at < pieces.length; at++) path += `${taken[at - 1] ?? ''}${pieces[at]}`
    return path === '' ? '/' : fills && path.includes('//') ? path.replaceAll(/\/{2,}/g, '/') : path
  }
}
