/** Certificates got on demand are watched as all others: in the list, the metrics, and for the site whose clients asked. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type FakeAcme, fakeAcme } from '../harness/fake-acme.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { fingerprintOf } from '../harness/kept-certificate.ts'

let fake: FakeAcme
let gateway: Started

const routes = [{ respond: { status: 200, body: 'hello' } }] as const
const config = () => ({
  log: { access: false, level: 'info' } as const,
  sites: [
    { host: '*.customers.test', certificate: 'acme' as const, routes },
    { host: 'main.test', default: true, certificate: 'acme' as const, routes },
  ],
  acme: {
    directory: fake.url,
    challenges: ['tls-alpn-01' as const],
    onDemand: { allow: ['*.customers.test', 'else.test'] },
  },
})

before(async () => {
  fake = await fakeAcme()
  gateway = await startGateway(config() as Parameters<typeof startGateway>[0])
  await gateway.logged(record => record['message'] === 'certificate obtained')
})
after(async () => {
  await gateway.stop()
  await fake.close()
})

const listed = () =>
  gateway.gateway
    .certificates()
    .map(({ names, sites, state }) => `${names} ${sites} ${state}`)
    .sort()

test('a name is listed when it has a certificate, for its site, once', async () => {
  assert.deepEqual(listed(), ['main.test main.test serving'])
  const meanwhile: string[][] = []
  fake.script = ({ kind }) => {
    if (kind !== 'newOrder') return null
    meanwhile.push(listed())
    return { status: 403 }
  }
  await assert.rejects(fingerprintOf(gateway.port, 'none.customers.test', null))
  assert.deepEqual(meanwhile, [['main.test main.test serving']])
  fake.script = () => null
  const shown = await fingerprintOf(gateway.port, 'shop.customers.test', fake.ca)
  await fingerprintOf(gateway.port, 'else.test', fake.ca)
  assert.deepEqual(listed(), [
    'else.test main.test serving',
    'main.test main.test serving',
    'shop.customers.test *.customers.test serving',
  ])
  const row = gateway.gateway.certificates().find(({ names }) => names.includes('shop.customers.test'))
  assert.equal(row?.fingerprint256, shown)
  assert.equal(gateway.gateway.certificateCount().total, 3)
  await gateway.gateway.managed.renew('shop.customers.test')
  assert.equal(listed().length, 3)
  assert.ok(!listed().some(line => line.includes('none')))
})

test('a reload leaves it in the list, and where its name becomes a host it is listed as one', async () => {
  const { config } = gateway.gateway
  const before = listed()
  await gateway.gateway.apply({ ...config })
  assert.deepEqual(listed(), before)
  const [first, ...others] = config.sites
  assert.ok(first)
  await gateway.gateway.apply({
    ...config,
    sites: [{ ...first, hosts: [...first.hosts, 'shop.customers.test'] }, ...others],
  })
  assert.deepEqual(listed(), before)
})

test('a roll-over of the account is in the log, with its directory and nothing of its key', async () => {
  assert.deepEqual(await gateway.gateway.managed.rollOver(), [fake.url])
  const record = await gateway.logged(({ message }) => message === 'ACME account has a new key')
  assert.deepEqual([record['level'], record['directory']], ['info', fake.url])
  assert.deepEqual(Object.keys(record).sort(), ['directory', 'level', 'message', 'time'])
})
