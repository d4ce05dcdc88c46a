/** Listeners as a configuration has them: names that sites refer to, defaults of each, and mistakes. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mapOf } from '../../src/cli/map/model.ts'
import { mapText } from '../../src/cli/map/text.ts'
import { load, problemsOf } from './config-folder.ts'

const listen =
  'listen: [{ name: out, port: 443 }, { name: in, port: 8443 }, { name: in, port: 80, cleartext: serve }, { name: plain, port: 81, cleartext: serve }]'
const site = (host: string, more = '') => `  - { host: ${host}, certificate: local, to: "http://b.test"${more} }`
const sites = (...lines: string[]) => `${listen}\nsites:\n${lines.join('\n')}`

describe('site.listeners', () => {
  it('is a list of names, or one', async () => {
    const { config } = await load(
      sites(site('a.test', ', listeners: [out, in]'), site('b.test', ', listeners: in'), site('c.test')),
    )
    assert.deepEqual(
      config.sites.map(({ listeners }) => listeners),
      [['out', 'in'], ['in'], []],
    )
  })

  it('names listeners that are there', async () => {
    const text = (await problemsOf(sites(site('a.test', ', listeners: [out, inn]')))).join()
    assert.match(text, /3:.*no listener has the name inn/)
    assert.match(text, /did you mean in\?/)
    assert.match(
      (await problemsOf(`listen: [{ port: 443 }]\nsites:\n${site('a.test', ', listeners: x')}`)).join(),
      /no listener has the name x\n.*name: x/,
    )
  })

  it('allows a default for each listener', async () => {
    const both = (one: string, other: string) =>
      sites(site('a.test', `, default: true${one}`), site('b.test', `, default: true${other}`))
    await load(both(', listeners: out', ', listeners: in'))
    for (const [one, other] of [
      ['', ''],
      [', listeners: out', ''],
      [', listeners: [out, in]', ', listeners: in'],
    ] as const)
      assert.match((await problemsOf(both(one, other))).join(), /two sites are the default/)
  })

  it('decides whether a site needs a certificate', async () => {
    const bare = (name: string) => sites(`  - { host: a.test, to: "http://b.test", listeners: ${name} }`)
    assert.equal((await load(bare('plain'))).config.sites[0]?.certificate, null)
    assert.match((await problemsOf(bare('in'))).join(), /certificate is missing/)
  })

  it('warns of layer 4 without TLS', async () => {
    const { warnings } = await load(
      sites('  - { host: a.test, passthrough: { to: ["b.test:443"] }, listeners: plain }'),
    )
    assert.match(
      warnings.map(({ message }) => message).join(),
      /never reached: passthrough needs TLS, and none of its listeners ends TLS/,
    )
  })

  it('is part of the map', async () => {
    const { config } = await load(sites(site('a.test', ', listeners: out'), site('b.test', ', listeners: in')))
    const of = (name: string) => mapOf(config).filter(each => each.site === name)
    assert.deepEqual(
      of('a.test').map(({ pattern }) => pattern),
      ['edge'],
    )
    assert.deepEqual(
      of('b.test').map(({ pattern }) => pattern),
      ['edge', 'cleartext'],
    )
    assert.match(mapText(of('b.test')), /port 80/)
  })
})

it('a redirect that serves the clients of a trusted proxy is part of the map', async () => {
  const { config } = await load(
    `listen: [{ port: 443 }, { port: 80, cleartext: redirect, trust: { from: 10.0.0.0/8 } }]\nsites:\n${site('a.test')}`,
  )
  assert.deepEqual(
    mapOf(config).map(({ pattern }) => pattern),
    ['edge', 'cleartext', 'redirect'],
  )
})

it('a name is a word', async () => {
  for (const name of ['1a', '"a b"', '"*"'])
    assert.match(
      (await problemsOf(`listen: [{ name: ${name}, port: 443 }]\nsites:\n${site('a.test')}`)).join(),
      /cannot be the name of a listener/,
    )
})
