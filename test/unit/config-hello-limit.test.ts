/** A limit that the runtime's TLS library cannot go up to is said, where it was written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { abilities } from '../../src/base/runtime.ts'
import { load } from './config-folder.ts'

const text = (limits: string) => `
listen: [{ port: 8443 }]
sites: [{ host: localhost, certificate: local, to: ["http://127.0.0.1:3000"] }]
${limits}
`

const warned = async (limits: string) => (await load(text(limits))).warnings.map(({ message }) => message)

test('limits.hello above what the TLS library takes is a warning, and only where it was written', async () => {
  assert.deepEqual(await warned(''), [])
  assert.deepEqual(await warned('limits: { hello: 16kb }'), [])
  const high = await warned('limits: { hello: 17kb }')
  if (abilities.helloBytes > 17 * 1024) assert.deepEqual(high, [])
  else assert.match(high.join('\n'), /^limits\.hello: bun's TLS library accepts no ClientHello over 16kb/)
})
