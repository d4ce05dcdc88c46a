/** `maintenance`: a page in place of a site, switched in a running gateway, in all of its processes, and for as long as it is on. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { askGateway } from '../../src/control/client.ts'
import { maintenance } from '../../src/control/commands/maintenance.ts'
import { reload } from '../../src/control/commands/reload.ts'
import { status } from '../../src/control/commands/status.ts'
import { type Ask, ask, versions } from '../harness/ask.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { spawnGateway } from '../harness/gateway-process.ts'
import { freePort } from '../harness/ports.ts'
import { rawTcp } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'
import { problemsOf } from '../unit/config-folder.ts'

const folder = temporaryFolder('sallyport-maintenance-')
const file = (name: string, text: string): string => {
  writeFileSync(path.join(folder, name), text)
  return path.join(folder, name)
}
const page = file('back-soon.html', '<h1>back soon</h1>')
const busy = file('busy.txt', 'busy')
const state = temporaryFolder('sallyport-state-')

const config = {
  listen: [
    { port: 0, address: '127.0.0.1' },
    { port: 0, address: '127.0.0.1', cleartext: 'serve' as const, proxyProtocol: { from: ['127.0.0.1'] } },
  ],
  state,
  defaults: { headers: { response: { set: { 'x-outside': 'yes' } } } },
  sites: [
    {
      host: ['shop.test', 'www.shop.test'],
      certificate: 'local' as const,
      maintenance: { file: page, allow: ['10.0.0.0/8'], retryAfter: '10m' as const },
      routes: [
        { match: { path: '/health' }, maintenance: false, respond: { body: 'healthy' } },
        { match: { path: '/small' }, limits: { body: '1b' as const }, respond: { body: 'small' } },
        { match: { path: '/shop/*' }, respond: { body: 'the shop' } },
        { match: { path: '/.well-known/acme-challenge/*' }, respond: { body: 'of the backend' } },
      ],
    },
    {
      host: '*.plain.test',
      certificate: 'local' as const,
      maintenance: { retryAfter: '1500ms' as const },
      errors: { 503: { file: busy } },
      routes: [{ respond: { body: 'plain' } }],
    },
    { host: 'other.test', certificate: 'local' as const, routes: [{ respond: { body: 'other' } }] },
  ],
}

let gateway: Started

before(async () => {
  gateway = await startGateway(config)
})
after(() => gateway.stop())

const during = async (site: string, look: () => Promise<void>) => {
  gateway.gateway.setMaintenance(site, true)
  try {
    await look()
  } finally {
    gateway.gateway.setMaintenance(site, false)
  }
}

for (const version of versions) {
  describe(version, () => {
    const get = (host: string, path: string, more: Omit<Ask, 'host' | 'path'> = {}) =>
      ask(version, gateway.port, { host, path, ...more })

    it('the page, with what stands around every response, until it is switched off', async () => {
      assert.equal((await get('shop.test', '/shop/a')).body, 'the shop')
      await during('www.shop.test', async () => {
        for (const host of ['shop.test', 'www.shop.test']) {
          const answer = await get(host, '/shop/a')
          assert.deepEqual([answer.status, answer.body], [503, '<h1>back soon</h1>'])
          assert.equal(answer.field('content-type'), 'text/html; charset=utf-8')
          assert.equal(answer.field('retry-after'), '600')
          assert.equal(answer.field('cache-control'), 'no-store')
          assert.equal(answer.field('x-outside'), 'yes')
        }
        // Also where no route would take it, and with a body.
        assert.equal((await get('shop.test', '/nowhere')).status, 503)
        assert.equal((await get('shop.test', '/shop/a', { method: 'POST', body: 'x'.repeat(50_000) })).status, 503)
        const head = await get('shop.test', '/shop/a', { method: 'HEAD' })
        assert.deepEqual([head.status, head.body, head.field('content-length')], [503, '', '18'])
        assert.equal((await get('other.test', '/')).body, 'other')
      })
      assert.equal((await get('shop.test', '/shop/a')).body, 'the shop')
    })

    it('without a file, the page of errors', async () => {
      await during('*.plain.test', async () => {
        const answer = await get('a.plain.test', '/')
        assert.deepEqual([answer.status, answer.body, answer.field('retry-after')], [503, 'busy', '2'])
        const record = await gateway.logged(({ host }) => host === 'a.plain.test')
        assert.equal(record['error'], 'MAINTENANCE')
      })
    })

    it('a route can be left out, challenges go on, and a bad request is still one', async () => {
      await during('shop.test', async () => {
        assert.equal((await get('shop.test', '/health')).body, 'healthy')
        assert.equal((await get('shop.test', '/.well-known/acme-challenge/token')).body, 'of the backend')
        assert.equal((await get('shop.test', '/..')).status, 400)
      })
    })
  })
}

it('gRPC calls get their status', async () => {
  const fields = [
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ] as const
  await during('shop.test', async () => {
    const request = { host: 'shop.test', path: '/shop/a', method: 'POST', fields, body: '' }
    const answer = await ask('HTTP/2', gateway.port, request)
    assert.deepEqual([answer.status, answer.field('grpc-status')], [200, '14'])
  })
})

it('clients that are allowed skip the page, and nothing else', async () => {
  const from = async (address: string, request: string) => {
    const client = await rawTcp(gateway.ports[1] as number)
    client.send(`PROXY TCP4 ${address} 192.0.2.1 1000 80\r\n${request}`)
    return (await client.closed()).received
  }
  const asking = 'GET /shop/a HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n'
  const large = 'POST /small HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge'
  await during('shop.test', async () => {
    assert.match(await from('10.1.2.3', asking), /the shop$/)
    assert.match(await from('10.1.2.3', large), /^HTTP\/1\.1 413 /)
    assert.match(await from('203.0.113.7', asking), /back soon/)
    assert.match(await from('203.0.113.7', large), /^HTTP\/1\.1 503 /)
  })
})

it('a reload leaves a site as it is, and a page that changes is read again', async () => {
  await during('shop.test', async () => {
    const body = async () => (await ask('HTTP/1.1', gateway.port, { host: 'shop.test', path: '/shop/a' })).body
    await gateway.gateway.apply((await loadConfig({ value: config })).config)
    assert.equal(await body(), '<h1>back soon</h1>')
    file('back-soon.html', '<h1>back later</h1>')
    await eventually('the new page', async () => (await body()) === '<h1>back later</h1>')
    file('back-soon.html', 'x'.repeat(65_537))
    await gateway.logged(({ why }) => String(why).includes('a page has at most 64 kB'))
    assert.equal(await body(), '<h1>back later</h1>')
    file('back-soon.html', '<h1>back soon</h1>')
    await eventually('the first page', async () => (await body()) === '<h1>back soon</h1>')
  })
})

it('what others switch in the state folder holds here, too', async () => {
  const sites = () => gateway.gateway.maintenance().filter(({ on }) => on)
  mkdirSync(path.join(state, 'maintenance'), { recursive: true })
  for (const name of ['shop.test', '%2A.plain.test', 'unknown.test'])
    writeFileSync(path.join(state, 'maintenance', name), '')
  await eventually('both are in maintenance', () => sites().length === 2)
  rmSync(path.join(state, 'maintenance'), { recursive: true })
  await eventually('none is', () => sites().length === 0)
})

it('a site without it, and one that there is not, cannot be switched', () => {
  assert.throws(
    () => gateway.gateway.setMaintenance('other.test', true),
    /other\.test has no maintenance in its configuration/,
  )
  assert.throws(() => gateway.gateway.setMaintenance('none.test', true), /no site has the host none\.test/)
  assert.deepEqual(gateway.gateway.maintenance(), [
    { site: 'shop.test', on: false },
    { site: '*.plain.test', on: false },
  ])
})

it('the command switches every worker, and it survives a reload, a worker and a restart', async () => {
  const state = temporaryFolder('sallyport-maintenance-')
  const port = await freePort()
  const options = {
    state,
    listen: [{ port, address: '127.0.0.1', cleartext: 'serve' }],
    defaults: { maintenance: true },
    sites: ['a.test', 'b.test'].map(host => ({ host, routes: [{ respond: { body: 'here' } }] })),
  }
  const ask = (set?: 'on' | 'off', site?: string) => askGateway(state, maintenance, { set, site })
  const rows = (a: boolean) => [
    { site: 'a.test', on: a },
    { site: 'b.test', on: false },
  ]
  const asked = async () => {
    const client = await rawTcp(port)
    client.send('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
    return (await client.closed()).received.slice(9, 12)
  }
  /** Connections go to one worker or the other. */
  const allSee = async (wanted: string) => {
    for (let times = 0; times < 12; times++) assert.equal(await asked(), wanted)
  }
  const first = spawnGateway(options, { workers: 2 })
  await first.ready
  assert.deepEqual(await ask(), rows(false))
  await allSee('200')
  assert.deepEqual(await ask('on', 'a.test'), rows(true))
  const replies = await askGateway(state, status, null)
  assert.deepEqual(
    replies.map(({ ok }) => ok?.inMaintenance),
    [['a.test'], ['a.test']],
  )
  assert.match(status.verb?.show(replies, null).text ?? '', /in maintenance: a\.test/)
  await allSee('503')
  await askGateway(state, reload, null)
  await allSee('503')
  const pids = () => readdirSync(path.join(state, 'control')).map(name => Number.parseInt(name, 10))
  const before = pids()
  process.kill(before[0] as number, 'SIGKILL')
  await eventually('another worker', async () => {
    const sockets = pids().filter(pid => pid !== before[0])
    return sockets.length === 2 && (await ask().catch(() => [])).length === 2
  })
  await allSee('503')
  await first.stop()
  const second = spawnGateway(options, { workers: 2 })
  await second.ready
  await allSee('503')
  assert.deepEqual(await ask('off', 'a.test'), rows(false))
  await allSee('200')
  await assert.rejects(ask('on', 'c.test'), /no site has the host c\.test/)
  await second.stop()
})

it('words of the command line', () => {
  const words = (...rest: string[]) => maintenance.verb?.fromWords?.({ rest, options: new Map() })
  assert.deepEqual(words(), {})
  assert.deepEqual(words('on', 'a.test'), { set: 'on', site: 'a.test' })
  for (const wrong of [['on'], ['up', 'a.test'], ['on', 'a.test', 'b.test']])
    assert.throws(() => words(...wrong), /maintenance on shop\.example\.com/)
})

it('check says what is wrong', async () => {
  const of = async (value: string, site = 'to: "http://b.test"', name = 'a.html') =>
    (
      await problemsOf(
        `listen: [{ port: 443 }]\nsites: [{ host: a.test, certificate: local, ${site}, maintenance: ${value} }]`,
        {},
        { [name]: 'x' },
      )
    ).join()
  assert.equal(await of('{ file: a.html, allow: 10.0.0.0/8, retryAfter: 1h }'), '')
  assert.match(await of('{ file: a.png }', undefined, 'a.png'), /the name of a page ends with/)
  assert.match(await of('{ allow: [10.0.0.1/8] }'), /did you mean 10\.0\.0\.0\/8/)
  assert.match(await of('true', 'tcp: { to: "b:1" }'), /maintenance is for requests/)
})
