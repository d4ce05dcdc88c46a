/** JA4 and JA3 of the public captures. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseClientHello } from '../../src/wire/client-hello.ts'
import { fingerprintOf, ja3Text, ja4Raw } from '../../src/wire/ja4.ts'
import { helloVectors } from '../harness/vectors.ts'

describe('public captures', () => {
  it('have the fingerprints that they are said to have', () => {
    assert.ok(helloVectors.length > 5)
    for (const row of helloVectors) {
      const hello = parseClientHello(Buffer.from(row.clienthello, 'hex'))
      assert.ok(!('alert' in hello), row.ja4)
      assert.equal(ja4Raw(hello), row.ja4_r)
      assert.equal(ja3Text(hello), row.ja3_full)
      assert.deepEqual(fingerprintOf(hello), { ja4: row.ja4, ja3: row.ja3 })
    }
  })
})
