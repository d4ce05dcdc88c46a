/** Which endpoint is next, and at which address it is. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { leastRequests } from '../../src/balance/least-requests.ts'
import { roundRobin } from '../../src/balance/round-robin.ts'
import { addressesOf } from '../../src/gateway/addresses.ts'
import type { Endpoint } from '../../src/model/upstream.ts'

const endpoint = (label: string): Endpoint => ({
  label,
  host: label,
  port: 1,
  tls: null,
  addresses: addressesOf('127.0.0.1', 1000),
  active: 0,
  http: 'auto',
  http1Tls: null,
  pool: null,
})

describe('balancing', () => {
  it('round robin takes each in its turn, and none that was tried', () => {
    const all = [endpoint('a'), endpoint('b'), endpoint('c')]
    const pick = roundRobin(all)
    assert.deepEqual(
      [pick([]), pick([]), pick([]), pick([])].map(each => each?.label),
      ['a', 'b', 'c', 'a'],
    )
    assert.equal(pick([all[1] as Endpoint])?.label, 'c')
    assert.equal(pick(all), null)
  })

  it('least requests takes the one with the fewest, equals in turn', () => {
    const all = [endpoint('a'), endpoint('b'), endpoint('c')]
    const pick = leastRequests(all)
    assert.deepEqual(
      [pick([]), pick([]), pick([])].map(each => each?.label),
      ['a', 'b', 'c'],
    )
    for (const each of all) each.active = 2
    ;(all[1] as Endpoint).active = 1
    assert.equal(pick([])?.label, 'b')
    assert.equal(pick([all[1] as Endpoint])?.label !== 'b', true)
    assert.equal(pick(all), null)
  })
})

describe('addresses', () => {
  it('of a name are looked up once, taken in turn, and looked up again when they are old', () => {
    let asked = 0
    const found = [['192.0.2.1', '192.0.2.2'], ['192.0.2.3']]
    const addresses = addressesOf('name.test', 0, (_host, settled) => settled(null, found[asked++] ?? []))
    assert.equal(addresses.next(), null)
    addresses.ready(error => assert.equal(error, null))
    assert.equal(addresses.count, 2)
    assert.deepEqual([addresses.next(), addresses.next(), addresses.next()].sort(), [
      '192.0.2.1',
      '192.0.2.2',
      '192.0.2.2',
    ])
    while (asked < 2) addresses.ready(() => {})
    assert.equal(addresses.next(), '192.0.2.3')
    // A look-up that fails keeps what is known.
    while (asked < 3) addresses.ready(error => assert.equal(error, null))
    assert.equal(addresses.next(), '192.0.2.3')
  })

  it('of a name that has none are an error for whoever waits', () => {
    const addresses = addressesOf('none.test', 1000, (_host, settled) => settled(new Error('ENOTFOUND'), []))
    let why = ''
    addresses.ready(error => {
      why = error?.message ?? ''
    })
    assert.equal(why, 'ENOTFOUND')
    assert.equal(addresses.next(), null)
  })
})
