/** A listener on `::` where the machine has no IPv6. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log } from '../../src/base/log.ts'
import { bindAll } from '../../src/gateway/listeners.ts'
import type { Listener } from '../../src/proxy/accept/listener.ts'

/** Binds what `fails` has no error for. */
async function bound(address: string, fails: (address: string) => Error | null) {
  const tried: string[] = []
  const warned: string[] = []
  const listener = {
    options: { address, port: 443, unixMode: null },
    stopAccepting() {},
    async bind(at: string) {
      tried.push(at)
      const error = fails(at)
      if (error !== null) throw error
    },
  }
  const log = {
    level: 'info',
    write: (_level: string, message: string) => void warned.push(message),
    flush() {},
  } as unknown as Log
  const error = await bindAll([listener as unknown as Listener], [], log).then(
    () => null,
    (thrown: Error) => thrown.message,
  )
  return { tried, warned, error }
}

const failure = (code: string | undefined, message: string) => Object.assign(new Error(message), { code })
const noIpv6 = (code: string | undefined) => (address: string) =>
  address.includes(':') ? failure(code, `listen ${address}`) : null

test('`::` becomes 0.0.0.0, with a line that says so', async () => {
  // Node has a code for it; Bun says only that it failed.
  for (const code of ['EAFNOSUPPORT', 'EADDRNOTAVAIL', undefined]) {
    const { tried, warned, error } = await bound('::', noIpv6(code))
    assert.deepEqual([tried, error], [['::', '0.0.0.0'], null])
    assert.deepEqual(warned, ['IPv6 is off on this machine: listening on 0.0.0.0:443 in place of [::]:443'])
  }
})

test('no other address is replaced, and no other failure hidden', async () => {
  const other = await bound('::1', noIpv6('EADDRNOTAVAIL'))
  assert.deepEqual([other.tried, other.error], [['::1'], 'cannot listen on ::1:443 (EADDRNOTAVAIL): listen ::1'])
  for (const code of ['EACCES', 'EADDRINUSE']) {
    const { tried, error } = await bound('::', noIpv6(code))
    assert.deepEqual(tried, ['::'])
    assert.match(String(error), new RegExp(`^cannot listen on :::443 \\(${code}\\)`))
  }
  const both = await bound('::', address => failure('EAFNOSUPPORT', `listen ${address}`))
  assert.deepEqual([both.warned, both.error], [[], 'cannot listen on :::443 (EAFNOSUPPORT): listen ::'])
})
