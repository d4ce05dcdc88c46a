/**
 * URLs of backends, rewritten for clients: whatever a backend writes, the result leads to the host that the client asked or to the
 * one that the backend named. Random text of the pieces that matter, with a fixed seed, read as browsers read it.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { outside, type Terms } from '../../src/features/location/reference.ts'
import { rewrite } from '../../src/features/rewrite/feature.ts'
import { strip } from '../../src/features/strip/feature.ts'
import type { StagedExchange } from '../../src/model/stage.ts'

const pieces = [
  ...[
    '/',
    '//',
    '\\',
    '.',
    '..',
    '/.',
    '/..',
    '%2e',
    '%2f',
    '%5c',
    ':',
    '@',
    '?',
    '#',
    ' ',
    '\t',
    'é',
    ';',
    '[',
    ']',
  ],
  ...['http:', 'https:', 'HTTP://', 'javascript:', 'inner', 'app', 'other.test', 'shop.test', '10.0.0.5', ':3000'],
  ...['http://10.0.0.5:3000', 'https://shop.test', 'http://shop.test', '//10.0.0.5:3000', '/inner/', 'x'],
]

function random(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const exchangeOf = (path: string, forwardPath: string, secure: boolean): StagedExchange =>
  ({
    host: 'shop.test',
    path,
    forwardPath,
    hostField: null,
    client: { secure, serverPort: secure ? 443 : 80 },
    attempts: {
      endpoint: { label: '10.0.0.5:3000', authority: '10.0.0.5:3000', place: { address: '10.0.0.5', port: 3000 } },
    },
  }) as unknown as StagedExchange

const back = { strip: strip.outward?.([['/app']]), rewrite: rewrite.outward?.([{ from: '/*', to: '/inner/*' }]) }
const routes: Record<string, { outward: Terms['outward']; path: string; forwardPath: string }> = {
  'strip: /app': { outward: back.strip ?? (() => null), path: '/app/a/b', forwardPath: '/a/b' },
  'rewrite: /inner/*': { outward: back.rewrite ?? (() => null), path: '/a/b', forwardPath: '/inner/a/b' },
  'no change of paths': { outward: path => path, path: '/a/b', forwardPath: '/a/b' },
}

const hostOf = (url: string, base: string): string | null => URL.parse(url, base)?.host ?? null

describe('a rewritten URL', () => {
  for (const [name, { outward, path, forwardPath }] of Object.entries(routes)) {
    it(`leads to no third host (${name})`, () => {
      const next = random(7)
      let rewritten = 0
      for (let round = 0; round < 60_000; round++) {
        const url = Array.from({ length: 1 + next(7) }, () => pieces[next(pieces.length)])
          .join('')
          .trim()
        const secure = round % 2 === 0
        const scheme = secure ? 'https' : 'http'
        const terms = { outward, origins: new Set<string>(), namesHost: round % 3 !== 0 }
        const result = outside(url, exchangeOf(path, forwardPath, secure), terms)
        if (result === null || result === url) continue
        rewritten++
        const host = hostOf(result, `${scheme}://shop.test${path}`)
        const meant = hostOf(url, `${scheme}://shop.test${forwardPath}`)
        assert.ok(host === 'shop.test' || host === meant, `${JSON.stringify(url)} became ${JSON.stringify(result)}`)
        assert.doesNotMatch(result, /^[/\\]{2}|[\x00-\x1f\\]/)
      }
      assert.ok(rewritten > 2_000, `${rewritten} rewritten`)
    })
  }
})
