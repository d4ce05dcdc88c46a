/** Listeners as a configuration has them: names that sites refer to, defaults of each, and mistakes. */
import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { describe, it } from 'node:test'
import { abilities } from '../../src/base/runtime.ts'
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

describe('the name of an interface', () => {
  const yaml = (address: string) =>
    `listen: [{ address: ${address}, port: 443, name: own }]\nsites:\n${site('a.test')}`

  it('stands for its addresses', async () => {
    const expected = (networkInterfaces()['lo'] ?? []).map(({ address }) => address)
    const { config } = await load(yaml('lo'))
    assert.deepEqual(
      config.listen.map(({ address, port, name }) => [address, port, name]),
      expected.map(address => [address, 443, 'own']),
    )
  })

  it('has to be one of this machine', async () => {
    assert.match((await problemsOf(yaml('eth99'))).join(), /no network interface eth99\nit has .*lo/)
    assert.match((await problemsOf(yaml('localhost'))).join(), /localhost is not an IP address\nwrite 127/)
    assert.match((await problemsOf(yaml('a.very.long.name.of.something'))).join(), /is not an IP address/)
    assert.match((await problemsOf(yaml('constructor'))).join(), /no network interface constructor/)
  })

  it('excludes other listeners at these addresses', async () => {
    const two = yaml('lo').replace('[{', '[{ address: "::", port: 443 }, {')
    assert.match((await problemsOf(two)).join(), /another listener already has \[::\]:443/)
  })
})

describe('a Unix socket', () => {
  const one = (text: string) => `listen: [${text}]\nsites:\n${site('a.test')}`

  it('stands in place of a port', async () => {
    const { config } = await load(
      one('{ unix: /run/a.sock }, { unix: /run/b.sock, mode: "0600", cleartext: serve, public: 8080 }'),
    )
    assert.deepEqual(
      config.listen.map(({ address, port, unix, mode, public: shown }) => [address, port, unix, mode, shown]),
      [
        ['/run/a.sock', 0, true, 0o660, 443],
        ['/run/b.sock', 0, true, 0o600, 8080],
      ],
    )
  })

  it('never leaves the machine, in the map', async () => {
    const { config, warnings } = await load(one('{ port: 443 }, { unix: /run/a.sock, cleartext: serve }'))
    assert.deepEqual(warnings, [])
    const cleartext = mapOf(config).find(({ pattern }) => pattern === 'cleartext')
    assert.equal(cleartext?.hops[0]?.onHost, true)
    assert.match(cleartext?.plaintext.join() ?? '', /unix:\/run\/a\.sock/)
  })

  const mistakes: [string, RegExp][] = [
    ['{ unix: run/a.sock }', /absolute/],
    ['{ unix: /run/ }', /folder/],
    [`{ unix: /run/${'a'.repeat(200)} }`, /at most 10[37]/],
    ['{ unix: /run/a.sock, port: 80 }', /a Unix socket has no port/],
    ['{ unix: /run/a.sock, address: 127.0.0.1 }', /a Unix socket has no address/],
    ['{ unix: /run/a.sock, keepAlive: 60s }', /a Unix socket has no keepAlive/],
    ['{ unix: /run/a.sock, mode: "999" }', /not a file mode/],
    ['{ unix: /run/a.sock, mode: 660 }', /quotes/],
    ['{ port: 80, mode: "660" }', /mode is for Unix sockets/],
    ['{ unix: /run/a.sock }, { unix: /run/a.sock }', /another listener already has unix:\/run\/a\.sock/],
    ['{ cleartext: serve }', /port is missing/],
    ['{ port: 80, keepAlive: 40000s }', /keepAlive/],
  ]
  for (const [text, expected] of mistakes)
    it(`refuses ${text.slice(0, 60)}`, async () => assert.match((await problemsOf(one(text))).join(), expected))

  it('is a peer that may be trusted, and no list', async () => {
    const { config } = await load(
      one('{ unix: /run/a.sock, trust: { from: [unix, 10.0.0.1] }, proxyProtocol: { from: unix } }'),
    )
    assert.deepEqual(config.listen[0]?.trust?.from, ['unix', '10.0.0.1/32'])
    assert.match(
      (await problemsOf(`lists: { unix: 10.0.0.1 }\n${one('{ port: 443 }')}`)).join(),
      /stands for the peers/,
    )
  })
})

it('a route that waits for a PROXY header needs a listener that takes one', async () => {
  const route = 'routes: [{ match: { proxy: { awsVpceId: vpce-1 } }, to: "http://b.test" }]'
  const yaml = (more: string) =>
    `listen: [{ port: 443${more} }]\nsites: [{ host: a.test, certificate: local, ${route} }]`
  const messages = async (text: string) => (await load(text)).warnings.map(({ message }) => message).join()
  assert.match(await messages(yaml('')), /no request ever matches: no listener takes a PROXY header/)
  assert.equal(await messages(yaml(', proxyProtocol: { from: 10.0.0.1 }')), '')
  for (const [id, expected] of [
    ['gcpConnectionId: "18446744073709551616"', /not an id/],
    ['azureLinkId: "4294967296"', /not an id/],
    ['azureLinkId: "007"', /not an id/],
    ['gcpConnectionId: 1', /quotes/],
    ['awsVpceId: "a b"', /not the id of a VPC endpoint/],
  ] as const)
    assert.match((await problemsOf(yaml('').replace('awsVpceId: vpce-1', id))).join(), expected)
})

it('backlog is a matter of the runtime', async () => {
  const yaml = `listen: [{ port: 443, backlog: 100 }]\nsites:\n${site('a.test')}`
  if (abilities.backlog) assert.equal((await load(yaml)).config.listen[0]?.backlog, 100)
  else assert.match((await problemsOf(yaml)).join(), /backlog: bun does not let it be chosen/)
})

it('a name is a word', async () => {
  for (const name of ['1a', '"a b"', '"*"'])
    assert.match(
      (await problemsOf(`listen: [{ name: ${name}, port: 443 }]\nsites:\n${site('a.test')}`)).join(),
      /cannot be the name of a listener/,
    )
})
