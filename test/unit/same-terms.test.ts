/** What goes on over a reload is known by a text of its terms, which differs wherever the terms do. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { termsText } from '../../src/base/same-terms.ts'
import type { CaConfig } from '../../src/config/config.ts'
import { keyOf } from '../../src/gateway/certificates/internal-ca-slot.ts'

describe('the text of terms', () => {
  it('differs wherever they do', () => {
    const all = [
      new Map(),
      new Map([['a', 1]]),
      new Map([['a', 2]]),
      new Map([['a', new Map([['b', Buffer.from('x')]])]]),
      new Map([['a', new Map([['b', Buffer.from('y')]])]]),
      new Set(['a']),
      new Set(['b']),
      {},
      null,
      Number.POSITIVE_INFINITY,
      0,
      [],
      ['a'],
    ].map(value => termsText({ value }))
    assert.equal(new Set(all).size, all.length)
    assert.throws(() => termsText({ filter: () => {} }), /function/)
  })

  it('of the internal CA holds its external accounts and the names that it resolves', () => {
    const key = (accounts: [string, { key: Buffer; allow: string[] }][], resolve: [string, string][]) => {
      const acme = { externalAccounts: new Map(accounts), resolve: new Map(resolve) }
      const config = { ca: { acme } as unknown as CaConfig, state: '/s', storage: { redis: null, seal: null } }
      return keyOf(config)
    }
    const account = (text: string, ...allow: string[]) => ({ key: Buffer.from(text), allow })
    const all = [
      key([], []),
      key([['one', account('k')]], []),
      key([['one', account('other')]], []),
      key([['one', account('k', 'a.internal')]], []),
      key([], [['a.internal', '10.0.0.1']]),
      key([], [['a.internal', '10.0.0.2']]),
    ]
    assert.equal(new Set(all).size, all.length)
  })
})
