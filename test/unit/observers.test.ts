/** Observers hear of what they have a method for, and none harms another, nor the work that it hears of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProxyError } from '../../src/base/errors.ts'
import { createLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/model/metrics.ts'
import type { ObservedConnection, Observer, RequestRecord } from '../../src/model/records.ts'
import { familyText } from '../../src/observe/exposition.ts'
import { Observation } from '../../src/observe/observation.ts'

const connection = {
  clientAddress: '10.0.0.1',
  clientPort: 1,
  serverPort: 2,
  cloud: null,
  listenerPort: 3,
  serverName: 'a.test',
  handshakeMs: 1,
  link: { tls: null },
  logText: null,
} as unknown as ObservedConnection

const request = (more: object = {}) =>
  ({
    id: 'x',
    connection,
    client: connection,
    head: { method: 'GET', version: 1 },
    host: '',
    path: '/',
    query: '',
    status: 200,
    bytesIn: 0,
    bytesOut: 0,
    startedAt: 0,
    sentAt: 0,
    headAt: 0,
    endedAt: 0,
    site: null,
    route: null,
    attempts: { count: 0, endpoint: null, upstreamName: null },
    errorCode: null,
    errorWhy: null,
    ...more,
  }) as unknown as RequestRecord

function observation(access = false, observers: readonly Observer[] = []) {
  let text = ''
  const log = createLog({ level: 'debug', format: 'json', out: lines => void (text += lines) })
  const metrics = new Metrics()
  const observed = new Observation(log, metrics, observers)
  observed.use({ log: { access }, admin: null })
  const records = () => {
    log.flush()
    const lines = text.split('\n').filter(line => line !== '')
    return lines.map(line => JSON.parse(line) as Record<string, unknown>)
  }
  const metric = (name: string) =>
    metrics
      .families()
      .filter(each => each.name === name)
      .map(familyText)
      .join('')
  return { observed, records, metric }
}

test('each observer hears of each kind that it has a method for, as a method of itself, until it is taken away', () => {
  const { observed } = observation()
  class Counting implements Observer {
    readonly name = 'counting'
    readonly #heard: string[] = []
    get heard() {
      return this.#heard.join()
    }
    request({ id }: RequestRecord) {
      this.#heard.push(id)
    }
    failedHandshake({ error }: { error: string }) {
      this.#heard.push(error)
    }
  }
  const [one, two] = [new Counting(), new Counting()]
  const stopOne = observed.observe(one)
  observed.observe(two)
  observed.request(request())
  observed.failedHandshake(connection, new ProxyError('TLS_NO_ALPN', 'why'), null, null)
  observed.ended(connection, new ProxyError('TLS_BROKEN', 'why'))
  stopOne()
  stopOne()
  observed.request(request({ id: 'y' }))
  assert.deepEqual([one.heard, two.heard], ['x,TLS_NO_ALPN', 'x,TLS_NO_ALPN,y'])
})

test('an observer may come and go while a record is handed out', () => {
  const { observed } = observation()
  const heard: string[] = []
  const stop = observed.observe({
    name: 'first',
    request() {
      heard.push('first')
      stop()
      observed.observe({ name: 'new', request: () => void heard.push('new') })
    },
  })
  observed.observe({ name: 'second', request: () => void heard.push('second') })
  observed.request(request())
  assert.deepEqual(heard, ['first', 'second'])
  observed.request(request())
  assert.deepEqual(heard, ['first', 'second', 'second', 'new'])
})

test('one that throws, or is async and rejects, is reported once with its name; the others and the log go on', async () => {
  let heard = 0
  const failing: Observer[] = [
    {
      name: 'broken',
      request() {
        throw new Error('it is broken')
      },
      connection() {
        throw new Error('it is broken')
      },
    },
    {
      name: 'late',
      async request() {
        await null
        throw new Error('it is late')
      },
    },
    {
      name: 'nothing',
      request() {
        throw undefined
      },
    },
  ]
  const { observed, records, metric } = observation(true, [
    ...failing,
    { name: 'well', request: () => void heard++ },
  ])
  for (let times = 0; times < 3; times++) {
    observed.request(request())
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.equal(heard, 3)
  const faults = records().filter(each => each['message'] === 'fault')
  assert.deepEqual(faults.map(each => each['where']).sort(), [
    'observer broken',
    'observer late',
    'observer nothing',
  ])
  assert.match(String(faults[0]?.['stack']), /it is broken/)
  assert.equal(records().filter(each => each['message'] === 'request').length, 3)
  assert.match(metric('sallyport_requests_total'), /class="2xx"} 3\n/)
})

test('faults are observed, also those of observers; an observer of faults that throws does not begin again and again', () => {
  const heard: string[] = []
  const { observed, records } = observation(false, [
    {
      name: 'thrower',
      request() {
        throw new Error('x')
      },
    },
    {
      name: 'faults, broken',
      fault() {
        throw new Error('y')
      },
    },
    { name: 'faults', fault: ({ where }) => void heard.push(where) },
  ])
  observed.fault('here', new Error('z'))
  observed.request(request())
  observed.request(request())
  assert.deepEqual(heard, ['observer faults, broken', 'here', 'observer thrower'])
  assert.equal(records().filter(each => each['message'] === 'fault').length, 3)
})

test('what nobody hears is not built: no times, no fingerprints, no record of a certificate', () => {
  const { observed, records } = observation()
  const never = () => assert.fail('it was built')
  assert.deepEqual([observed.timed, observed.fingerprints], [false, false])
  observed.certificate(never)
  const stop = observed.observe({ name: 'requests', request() {} })
  assert.deepEqual([observed.timed, observed.fingerprints], [true, true])
  observed.certificate(never)
  stop()
  assert.deepEqual([observed.timed, observed.fingerprints], [false, false])
  observed.metricsAreRead(true)
  assert.deepEqual([observed.timed, observed.fingerprints], [true, false])
  observed.metricsAreRead(false)
  observed.use({ log: { access: false }, admin: {} })
  assert.deepEqual([observed.timed, observed.fingerprints], [true, false])
  observed.use({ log: { access: true }, admin: null })
  assert.deepEqual([observed.timed, observed.fingerprints], [true, true])
  observed.request(request())
  observed.use({ log: { access: false }, admin: null })
  observed.request(request())
  assert.deepEqual([observed.timed, records().length], [false, 1])
})

test('a request without a route is counted under its site, one without a site under none, one recorded before not again', () => {
  const { observed, metric } = observation()
  const site = { name: 'a.test' }
  observed.request(request({ site, route: { name: '/x' }, head: { method: 'GET', version: 2 }, status: 503 }))
  observed.request(request({ site, host: 'made.up', path: '/made/up', status: 404 }))
  observed.request(request({ host: 'made.up', status: 404 }))
  observed.request(request({ host: 'other.made.up', status: 0 }))
  observed.refusedRequest(connection, 2, new ProxyError('BAD_REQUEST', 'why'), 0, 'id')
  observed.unreadAnswer(connection, new ProxyError('CLIENT_STALLED', 'why'), 'id')
  const lines = metric('sallyport_requests_total')
    .split('\n')
    .filter(line => !line.startsWith('#') && line !== '')
  assert.deepEqual(lines, [
    'sallyport_requests_total{site="a.test",route="/x",protocol="http/2",class="5xx"} 1',
    'sallyport_requests_total{site="a.test",route="",protocol="http/1",class="4xx"} 1',
    'sallyport_requests_total{site="",route="",protocol="http/1",class="4xx"} 1',
    'sallyport_requests_total{site="",route="",protocol="http/1",class="none"} 1',
    'sallyport_requests_total{site="",route="",protocol="http/2",class="none"} 1',
  ])
})

test('attempts beyond the first are counted as retries of their upstream', () => {
  const { observed, metric } = observation()
  const attempts = (upstreamName: string | null, count: number) => ({ count, endpoint: null, upstreamName })
  for (const [name, count] of [
    ['one', 1],
    ['two', 3],
    ['one', 2],
    ['two', 2],
    [null, 0],
  ] as const)
    observed.request(request({ attempts: attempts(name, count) }))
  const lines = metric('sallyport_upstream_retries_total').split('\n')
  assert.deepEqual(
    lines.filter(line => line.startsWith('sallyport')),
    ['sallyport_upstream_retries_total{upstream="one"} 1', 'sallyport_upstream_retries_total{upstream="two"} 3'],
  )
})

test('durations are counted where they were taken, first bytes under the upstream that gave them', () => {
  const { observed, metric } = observation()
  const times = { startedAt: 1_000, sentAt: 1_002, headAt: 1_006, endedAt: 1_300 }
  const attempts = (upstreamName: string | null) => ({ count: 1, endpoint: null, upstreamName })
  observed.request(request({ ...times, attempts: attempts('one') }))
  observed.request(request({ ...times, headAt: 1_102, attempts: attempts('two') }))
  observed.request(request({ ...times, headAt: 0, attempts: attempts('one') }))
  observed.request(request({ ...times, sentAt: 0, headAt: 0, attempts: attempts(null) }))
  observed.request(request())
  const all = metric('sallyport_request_seconds')
  assert.match(all, /_bucket{site="",route="",le="0.25"} 0\n.*le="0.5"} 4\n/)
  assert.match(all, /_count{site="",route=""} 4\n/)
  const first = metric('sallyport_upstream_first_byte_seconds')
  assert.match(first, /_bucket{upstream="one",le="0.0025"} 0\n.*le="0.005"} 1\n/)
  assert.match(first, /_bucket{upstream="two",le="0.05"} 0\n.*le="0.1"} 1\n/)
  assert.doesNotMatch(first, /upstream=""/)
})
