/** Unknown keys and names are errors, with the closest known one where there is a close one. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { didYouMean, nearest } from '../../src/config/engine/nearest.ts'
import { configShape } from '../../src/config/schema.ts'
import { around, problemsOf } from './config-folder.ts'

const keys = Object.keys(configShape.rows)
const topLevel = `${keys.slice(0, -1).join(', ')} and ${keys.at(-1)}`

describe('did you mean', () => {
  it('finds misspelled, swapped, abbreviated and wrongly capitalised words', () => {
    const known = ['certificate', 'host', 'policy', 'passthrough', 'tcp', 'to']
    const found = ['certifcate', 'hsot', 'cert', 'Policy', 'passthru', 'passThrough', 'certificates'].map(word =>
      nearest(word, known),
    )
    assert.deepEqual(found, [
      'certificate',
      'host',
      'certificate',
      'policy',
      'passthrough',
      'passthrough',
      'certificate',
    ])
  })
  it('does not guess wildly', () => {
    assert.equal(didYouMean('frobnicate', ['host', 'certificate']), undefined)
    assert.equal(didYouMean('x', ['tcp', 'host']), undefined)
  })

  it('is said of keys at every level', async () => {
    const found = await problemsOf(
      around(
        'routes: [{ match: { paths: /a }, to: { endpoint: http://b.test } }]\ndefalt: true',
        'timeout: { head: 1s }',
      ),
    )
    assert.deepEqual(found, [
      'sallyport.yaml:5:25: unknown key paths\ndid you mean path?',
      'sallyport.yaml:5:42: endpoints is missing\nas in endpoints: [http://10.0.4.1:80, { url: http://10.0.4.2:80, weight: 2 }]',
      'sallyport.yaml:5:44: unknown key endpoint\ndid you mean endpoints?',
      'sallyport.yaml:6:5: unknown key defalt\ndid you mean default?',
      'sallyport.yaml:7:1: unknown key timeout\ndid you mean timeouts?',
    ])
  })
  it('is said of upstreams and of choices', async () => {
    const found = await problemsOf(
      around(
        'to: oders\npolicy: moden',
        'upstreams: { orders: { endpoints: http://b.test, balance: roundrobin } }',
      ),
    )
    assert.deepEqual(
      found.filter(problem => !problem.includes('warning')),
      [
        'sallyport.yaml:5:9: there is no upstream oders\ndid you mean orders?',
        'sallyport.yaml:6:13: there is no policy moden\ndid you mean modern?',
        'sallyport.yaml:7:59: balance takes round-robin, least-requests, p2c, random, ring-hash or maglev, not "roundrobin"\ndid you mean round-robin?',
      ],
    )
  })
  it('lists what there is when nothing is close, and is not fooled by names of Object', async () => {
    const found = await problemsOf(
      around('to: http://b.test', 'log: { constructor: 1, xyzzy: 2 }\ntoString: 1\n__proto__: {}'),
    )
    assert.deepEqual(found, [
      'sallyport.yaml:6:8: unknown key constructor\nhere may be access, format and level',
      'sallyport.yaml:6:24: unknown key xyzzy\nhere may be access, format and level',
      `sallyport.yaml:7:1: unknown key toString\nhere may be ${topLevel}`,
      `sallyport.yaml:8:1: unknown key __proto__\nhere may be ${topLevel}`,
    ])
  })
})
