/** JA4 and JA3 of the public captures. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { parseClientHello } from '../../src/wire/client-hello.ts'
import { fingerprintOf, ja3Text, ja4Raw } from '../../src/wire/ja4.ts'
import { vectorsMissing } from '../harness/vectors.ts'

const skip = vectorsMissing('ja4')

describe('public captures', { skip }, () => {
  it('have the fingerprints that they are said to have', () => {
    const file = path.resolve(import.meta.dirname, '../../../shared/vectors/ja4/client-hellos.json')
    type Row = { ja3: string; ja3_full: string; ja4: string; ja4_r: string; clienthello: string }
    const rows = JSON.parse(readFileSync(file, 'utf8')) as Row[]
    assert.ok(rows.length > 5)
    for (const row of rows) {
      const hello = parseClientHello(Buffer.from(row.clienthello, 'hex'))
      assert.ok(!('alert' in hello), row.ja4)
      assert.equal(ja4Raw(hello), row.ja4_r)
      assert.equal(ja3Text(hello), row.ja3_full)
      assert.deepEqual(fingerprintOf(hello), { ja4: row.ja4, ja3: row.ja3 })
    }
  })
})
