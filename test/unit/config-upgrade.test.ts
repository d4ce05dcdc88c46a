/** `upgrade`: names of protocols, and a warning about those that carry HTTP. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { around, load, problemsOf } from './config-folder.ts'

const wrong = async (names: string) => (await problemsOf(around(`to: http://b.test\nupgrade: ${names}`))).join('\n')

it('protocols are tokens, with a version or without', async () => {
  for (const name of ['""', '"a b"', 'a/b/c', '/1', 'a/', `"${'a'.repeat(65)}"`, '"a,b"'])
    assert.match(await wrong(`[${name}]`), /is not the name of a protocol/, name)
  for (const names of ['[]', 'tcp', '[websocket, tcp, SPDY/3.1, DERP]']) assert.equal(await wrong(names), '', names)
})

it('protocols that carry HTTP past the gateway are warned about', async () => {
  for (const name of ['h2c', 'H2C', 'TLS/1.0', 'HTTP/2.0']) {
    const { warnings } = await load(around(`to: http://b.test\nupgrade: [tcp, ${name}]`))
    assert.equal(warnings.length, 1, name)
    assert.match(warnings[0]?.message ?? '', /past all rules of this gateway/)
  }
  assert.deepEqual((await load(around('to: http://b.test\nupgrade: [h2cx, tlsy]'))).warnings, [])
})
