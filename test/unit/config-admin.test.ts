/** The admin section: its defaults, what it refuses, and what it warns of. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatProblem } from '../../src/config/engine/problem.ts'
import { around, load, problemsOf } from './config-folder.ts'

const of = (admin: string) => around('to: http://b.test', `admin: ${admin}`)
const token = 'k7b2f0c9k7b2f0c9'

describe('admin', () => {
  it('is off when left out, and on loopback without a token when nothing else is said', async () => {
    assert.equal((await load(around('to: http://b.test'))).config.admin, null)
    const { config, warnings } = await load(of('{ listen: { port: 9090 } }'))
    assert.deepEqual(config.admin, { listen: { port: 9090, address: '127.0.0.1' }, token: null })
    assert.deepEqual(warnings, [])
  })

  it('warns of an address that others reach, and with a token notes that it is cleartext', async () => {
    for (const address of ['0.0.0.0', '"::"', '10.0.0.1']) {
      const { warnings } = await load(of(`{ listen: { port: 9090, address: ${address} } }`))
      assert.match(warnings.map(formatProblem).join(), /:6:41: warning: anyone who can reach .* there is no token/s)
      const { warnings: guarded } = await load(
        of(`{ listen: { port: 9090, address: ${address} }, token: ${token} }`),
      )
      assert.match(
        guarded.map(formatProblem).join(),
        /note: metrics and the token go over the network in cleartext/,
      )
    }
    for (const address of ['127.0.0.9', '"::1"'])
      assert.deepEqual((await load(of(`{ listen: { port: 9090, address: ${address} } }`))).warnings, [])
  })

  it('refuses a port that is taken, short and odd tokens (without repeating them), and what it does not know', async () => {
    assert.match(
      (await problemsOf(of('{ listen: { port: 443 } }'))).join(),
      /a listener of the gateway already has/,
    )
    assert.match((await problemsOf(of('{ token: 0123456789abcdef }'))).join(), /listen/)
    assert.match((await problemsOf(of('{ listen: { port: 1 }, path: /x }'))).join(), /path/)
    for (const wrong of [
      'short-secret',
      '"secret secret secret"',
      '"sécretsécretsécret"',
      `"${'s'.repeat(513)}"`,
    ]) {
      const problems = await problemsOf(of(`{ listen: { port: 9090 }, token: ${wrong} }`))
      assert.equal(problems.length, 1, wrong)
      assert.match(problems.join(), /token/)
      assert.ok(!/cret|sss/.test(problems.join()), problems.join())
    }
  })

  it('may have the port of a listener on another address', async () => {
    const text = of('{ listen: { port: 443 } }').replace('{ port: 443 }', '{ port: 443, address: 10.0.0.1 }')
    assert.deepEqual((await load(text)).warnings, [])
  })
})
