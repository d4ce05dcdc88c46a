/** Which pattern takes a path: the most specific first, and none is an answer too. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Paths } from '../../src/route/paths.ts'
import { randomFrom } from '../wire/hello-bytes.ts'

const table = (patterns: readonly string[]) => {
  const paths = new Paths<string>()
  for (const [rank, pattern] of patterns.entries()) paths.add(pattern, pattern, -rank)
  return (path: string, accept: (value: string) => boolean = () => true) => paths.find(path, accept)
}

describe('paths', () => {
  it('that no pattern takes are not found, whatever their form', () => {
    for (const find of [table([]), table(['/only']), table(['/a/*']), table(['/a/*/c'])]) {
      for (const path of ['/', '/x', '/x/', '/x/y/z', '/only/x', '*', '//', '/a/b/d']) {
        if (path === '/a/b/d' && find(path) === '/a/*') continue
        assert.equal(find(path), null, path)
      }
    }
  })

  it('are found by the most specific pattern', () => {
    const find = table(['/*', '/a/*', '/a/b', '/a/*/c', '/a/b/*'])
    assert.equal(find('/'), '/*')
    assert.equal(find('/a'), '/a/*')
    assert.equal(find('/ab'), '/*')
    assert.equal(find('/a/b'), '/a/b')
    assert.equal(find('/a/b/d'), '/a/b/*')
    assert.equal(find('/a/x/c'), '/a/*/c')
    assert.equal(find('/a/x/d'), '/a/*')
    assert.equal(find('*'), '/*')
  })

  it('with parameters are found as the documentation of match.path says', () => {
    const find = table(['/*', '/admin/*', '/admin;*/*'])
    assert.equal(find('/admin/x'), '/admin/*')
    for (const path of ['/admin;a=b', '/admin;a=b/x', '/admin;a=b/x/y', '/admin;/x'])
      assert.equal(find(path), '/admin;*/*', path)
    assert.equal(table(['/*', '/admin/*'])('/admin;a=b/x'), '/*')
  })

  it('go on to the next pattern when what stands behind the first does not accept', () => {
    const find = table(['/*', '/a/*', '/a/b'])
    assert.equal(
      find('/a/b', value => value !== '/a/b'),
      '/a/*',
    )
    assert.equal(
      find('/a/b', value => value === '/*'),
      '/*',
    )
    assert.equal(
      find('/a/b', () => false),
      null,
    )
  })

  it('match as their documentation says: a star is a run within one segment, and a last /* all that is below', () => {
    const below = randomFrom(7)
    const letters = ['a', 'b', '-', '.', '*', '/', '/']
    const text = (from: readonly string[], length: number) =>
      `/${Array.from({ length }, () => from[below(from.length)]).join('')}`
    for (let round = 0; round < 20_000; round++) {
      const pattern = text(letters, below(9)).replace(/\/+/g, '/')
      const path = text(letters.slice(0, 4).concat('/'), below(12))
      const expected = formOf(pattern).test(path)
      assert.equal(table([pattern])(path), expected ? pattern : null, `${pattern} and ${path}`)
    }
  })
})

/** Only for a test: a regular expression from a pattern backtracks. */
function formOf(pattern: string): RegExp {
  const open = pattern.endsWith('/*')
  const source = (open ? pattern.slice(0, -2) : pattern)
    .split('*')
    .map(literal => literal.replaceAll('.', '\\.'))
    .join('[^/]*')
  return new RegExp(`^${source}${open ? '(?:/.*)?' : ''}$`)
}
