/** `trust` and `lists` as a configuration has them: names of lists, the listener's own before the file's, and mistakes. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { load, problemsOf } from './config-folder.ts'

const site = 'sites: [{ host: a.test, certificate: local, to: "http://b.test" }]'
const trustOf = async (yaml: string) => (await load(`${yaml}\n${site}`)).config.listen.map(({ trust }) => trust)

it('a listener has its own, or that of the file', async () => {
  assert.deepEqual(await trustOf('listen: [{ port: 1 }]'), [null])
  assert.deepEqual(
    await trustOf(
      'listen: [{ port: 1 }, { port: 2, trust: { from: fd00::/8, fields: forwarded, host: false } }]\ntrust: { from: 10.0.0.1 }',
    ),
    [
      { from: ['10.0.0.1/32'], fields: 'x-forwarded', host: true },
      { from: ['fd00::/8'], fields: 'forwarded', host: false },
    ],
  )
})

it('names of lists stand for their addresses', async () => {
  const lists = 'lists: { cdn: [192.0.2.0/24, "2001:db8::/32"], one: 198.51.100.1 }'
  assert.deepEqual(
    (await trustOf(`listen: [{ port: 1, trust: { from: [cdn, 10.0.0.0/8, one] } }]\n${lists}`))[0]?.from,
    ['192.0.2.0/24', '2001:db8::/32', '10.0.0.0/8', '198.51.100.1/32'],
  )
})

const mistakes: [string, RegExp][] = [
  ['listen: [{ port: 1, trust: { from: [cnd] } }]\nlists: { cdn: 10.0.0.0/8 }', /there is no list cnd\n.*cdn/],
  ['listen: [{ port: 1 }]\ntrust: { from: cdn }', /there is no list cdn\n.*lists: \{ cdn/],
  ['listen: [{ port: 1 }]\ntrust: { from: 10.0.0.1/8 }', /10\.0\.0\.0\/8/],
  ['listen: [{ port: 1 }]\nlists: { cdn: [10.0.0.0/8, 10.0.0.1/8] }', /10\.0\.0\.0\/8/],
  ['listen: [{ port: 1 }]\nlists: { 1a: 10.0.0.0/8 }', /cannot be the name of a list/],
  ['listen: [{ port: 1 }]\ntrust: { from: 300.0.0.1 }', /not an address/],
  ['listen: [{ port: 1 }]\ntrust: { from: 10.0.0.1, fields: x-client-ip }', /x-forwarded/],
  ['listen: [{ port: 1 }]\ntrust: {}', /from is missing/],
]
for (const [yaml, expected] of mistakes)
  it(`refuses ${yaml.split('\n').at(-1)}`, async () =>
    assert.match((await problemsOf(`${yaml}\n${site}`)).join('\n'), expected))

it('notes that X-Forwarded-Host has to be safe, until it is said', async () => {
  const notes = async (trust: string) =>
    (await load(`listen: [{ port: 1 }]\ntrust: ${trust}\n${site}`)).warnings.map(({ message }) => message).join()
  assert.match(await notes('{ from: 10.0.0.1 }'), /X-Forwarded-Host/)
  for (const trust of [
    '{ from: 10.0.0.1, host: true }',
    '{ from: 10.0.0.1, host: false }',
    '{ from: 10.0.0.1, fields: x-real-ip }',
  ])
    assert.equal(await notes(trust), '')
})

it('warns where everybody is trusted', async () => {
  for (const range of ['0.0.0.0/0', '"::/0"']) {
    const { warnings } = await load(`listen: [{ port: 1 }]\ntrust: { from: ${range} }\n${site}`)
    assert.match(warnings.map(({ message }) => message).join(), /every client can choose/)
  }
})
