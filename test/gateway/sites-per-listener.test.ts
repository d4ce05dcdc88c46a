/** `site.listeners`: a site exists on the listeners that it names and on no other, over TLS, in cleartext, and over a reload. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { type Ask, ask, versions } from '../harness/ask.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { h2Client } from '../harness/h2.ts'
import { heads, rawTcp, rawTls } from '../harness/raw.ts'

const address = '127.0.0.1'
const body = (text: string) => [{ respond: { body: text } }]
const listen = [
  { name: 'outside', port: 0, address },
  { name: 'inside', port: 0, address },
  { name: 'outside', port: 0, address, cleartext: 'serve' as const },
  { name: 'inside', port: 0, address, cleartext: 'serve' as const },
  { port: 0, address, cleartext: 'serve' as const },
  { name: 'outside', port: 0, address, cleartext: 'redirect' as const },
]
const [outside, inside, plainOutside, plainInside, unnamed, redirecting] = [0, 1, 2, 3, 4, 5]
const certificate = 'local' as const
const sites = [
  { host: 'localhost', certificate, routes: body('everywhere') },
  { host: '*.a.test', certificate, listeners: 'outside', routes: body('wildcard') },
  { host: 'admin.a.test', certificate, listeners: 'inside', routes: body('admin') },
  { host: 'out.test', certificate, listeners: ['outside'], default: true, routes: body('default outside') },
  { host: 'in.test', certificate, listeners: ['inside'], default: true, routes: body('default inside') },
]

let gateway: Started
before(async () => {
  gateway = await startGateway({ listen, sites })
})
after(() => gateway.stop())

const portOf = (index: number | undefined): number => gateway.ports[index as number] as number

for (const version of versions) {
  const on = async (index: number | undefined, host: string, more: Ask = {}) => {
    const { status, body: text } = await ask(version, portOf(index), { host, ...more })
    return status === 200 ? text : `${status}`
  }

  describe(`sites of a listener (${version})`, () => {
    it('are those that name it, and those that name none', async () => {
      assert.equal(await on(outside, 'localhost'), 'everywhere')
      assert.equal(await on(inside, 'localhost'), 'everywhere')
      assert.equal(await on(inside, 'admin.a.test'), 'admin')
      // There the wildcard is the only one that has the name.
      assert.equal(await on(outside, 'admin.a.test'), 'wildcard')
      assert.equal(await on(inside, 'other.a.test'), 'default inside')
      assert.equal(await on(outside, 'in.test'), 'default outside')
    })

    it('are the same in cleartext', async () => {
      const plain = { plain: true }
      assert.equal(await on(plainInside, 'admin.a.test', plain), 'admin')
      assert.equal(await on(plainOutside, 'admin.a.test', plain), 'wildcard')
      assert.equal(await on(plainOutside, 'nobody.test', plain), 'default outside')
      // A listener without a name has the sites that name none, and no default.
      assert.equal(await on(unnamed, 'localhost', plain), 'everywhere')
      assert.equal(await on(unnamed, 'admin.a.test', plain), '404')
      assert.equal(await on(unnamed, 'in.test', plain), '404')
    })
  })
}

it('a connection for one site reaches no site of another listener by its Host', async () => {
  const client = await h2Client(portOf(outside), { servername: 'localhost' })
  const stream = client.request([
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/'],
    [':authority', 'in.test'],
  ])
  assert.equal((await client.answer(stream)).body, 'default outside')
  client.destroy()
})

it('a redirect leads to the TLS listener that has the site', async () => {
  const location = async (host: string) => {
    const client = await rawTcp(portOf(redirecting))
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    return /^location: (.*)\r$/m.exec((await client.closed()).received)?.[1]
  }
  assert.equal(await location('x.a.test'), `https://x.a.test:${portOf(outside)}/`)
  const state = path.dirname(path.dirname(gateway.caFile))
  const other = await startGateway({
    state,
    listen: [
      { name: 'a', port: 0, address },
      { name: 'b', port: 0, address },
      { port: 0, address, cleartext: 'redirect' },
    ],
    sites: [
      { host: 'a.test', certificate, listeners: 'a', routes: body('a') },
      { host: 'b.test', certificate, listeners: 'b', routes: body('b') },
    ],
  })
  for (const [host, at] of [
    ['a.test', 0],
    ['b.test', 1],
    ['nobody.test', 0],
  ] as const) {
    const client = await rawTcp(other.ports[2] as number)
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    const { received } = await client.closed()
    assert.match(received, new RegExp(`location: https://${host}:${other.ports[at]}/`))
  }
  await other.stop()
})

it('a reload moves a site to another listener, for open connections too', async () => {
  const own = [
    { name: 'a', port: 0, address },
    { name: 'b', port: 0, address },
  ]
  const on = (name: string) => [
    { host: 'localhost', certificate, routes: body('everywhere') },
    { host: 'moved.test', certificate, listeners: [name], routes: body('moved') },
  ]
  const started = await startGateway({ listen: own, sites: on('a') })
  const client = await rawTls(started.ports[0] as number, { servername: 'moved.test' })
  const asked = 'GET / HTTP/1.1\r\nHost: moved.test\r\n\r\n'
  client.send(asked)
  await client.until(text => text.endsWith('moved'))
  const value = {
    listen: own.map((one, at) => ({ ...one, port: started.ports[at] })),
    sites: on('b'),
    state: path.dirname(path.dirname(started.caFile)),
  }
  await started.gateway.apply((await loadConfig({ value })).config)
  client.send(asked)
  await client.until(text => heads(text, 2))
  assert.match(client.received(), / 404 /)
  assert.equal((await ask('HTTP/1.1', started.ports[1] as number, { host: 'moved.test' })).body, 'moved')
  const refused = await ask('HTTP/1.1', started.ports[0] as number, { host: 'moved.test' }).catch(String)
  assert.match(String(refused), /alert|unrecognized/i)
  await started.stop()
})
