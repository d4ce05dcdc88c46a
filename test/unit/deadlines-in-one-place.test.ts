/**
 * Deadlines of the data plane come from two tables. Nobody else sets one by hand, and docs/deadlines.md names every state
 * with its error.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { errorTable } from '../../src/base/errors.ts'
import { connectionPhases } from '../../src/proxy/seam/connection-phase.ts'
import { answerPhases, requestPhases } from '../../src/proxy/seam/exchange-phase.ts'

const root = path.resolve(import.meta.dirname, '../..')
const proxy = path.join(root, 'src/proxy')
const tables = ['seam/connection-phase.ts', 'exchange/exchange-deadline.ts']

describe('deadlines of the data plane', () => {
  it('are set by the two tables alone', () => {
    const elsewhere: string[] = []
    for (const entry of readdirSync(proxy, { recursive: true })) {
      const file = String(entry)
      if (!file.endsWith('.ts') || tables.includes(file)) continue
      readFileSync(path.join(proxy, file), 'utf8')
        .split('\n')
        .forEach((line, index) => {
          // A field begins without one, and its constructor enters a state.
          const begins = /^ {2}deadlineAt = Number\.POSITIVE_INFINITY$/.test(line)
          if (/deadlineAt\s*=|deadlines\.(after|from)\(/.test(line) && !begins)
            elsewhere.push(`${file}:${index + 1}: ${line.trim()}`)
        })
    }
    assert.deepEqual(elsewhere, [])
  })

  it('are a positive time for every state, but where an exchange has its own or the configuration says none', () => {
    const timeouts = {
      handshakeMs: 1,
      headMs: 1,
      keepAliveMs: 1,
      bodyGraceMs: 1,
      poolIdleMs: 2,
      idleMs: 1,
      connectMs: 1,
      responseMs: 1,
      bodyIdleMs: 1,
      filterMs: 1,
      totalMs: 1,
      tunnelIdleMs: null,
    }
    for (const [name, rule] of Object.entries(connectionPhases)) {
      if (rule.by === 'timeout') assert.ok(rule.ms(timeouts) > 0, name)
      if (rule.by === 'constant') assert.ok(rule.ms > 0, name)
    }
    for (const [name, rule] of Object.entries({ ...answerPhases, ...requestPhases })) {
      assert.ok(rule.ms(timeouts, timeouts) > 0, name)
      assert.ok(rule.error in errorTable, name)
    }
    const owned = Object.entries(connectionPhases).filter(([, rule]) => rule.by === 'exchange')
    assert.deepEqual(
      owned.map(([name]) => name),
      ['exchange', 'carrying'],
    )
  })

  it('are all in docs/deadlines.md, with the error that ends the state', () => {
    const rows = readFileSync(path.join(root, 'docs/deadlines.md'), 'utf8').split('\n')
    const rowOf = (name: string) => rows.find(row => row.startsWith(`| \`${name}\` |`)) ?? ''
    for (const [name, rule] of Object.entries({ ...answerPhases, ...requestPhases })) {
      assert.match(rowOf(name), new RegExp(`\`${rule.timeout}\`.*\`${rule.error}\``), name)
    }
    for (const name of Object.keys(connectionPhases)) assert.notEqual(rowOf(name), '', name)
  })
})
