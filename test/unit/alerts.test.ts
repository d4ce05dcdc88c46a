/** The webhook: told once, tried again, given up; and a receiver that does what it likes to us. */
import assert from 'node:assert/strict'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import { createLog } from '../../src/base/log.ts'
import type { ListedCertificate } from '../../src/certs/files/list.ts'
import { dayMs } from '../../src/certs/x509/expiry.ts'
import { type Alert, Alerts, mostWaiting } from '../../src/gateway/certificates/alerts.ts'
import { ExpiryWatch } from '../../src/gateway/certificates/expiry-watch.ts'
import { issueFiles, testCa } from '../harness/certificates.ts'

const ca = testCa()
const servers: http.Server[] = []
after(() => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
})

type Received = { readonly headers: http.IncomingHttpHeaders; readonly body: Record<string, unknown> }

/** A receiver, and what came to it. @param answer by the number of the request, from 1 */
async function receiver(answer: (response: http.ServerResponse, count: number) => void, secure = false) {
  const received: Received[] = []
  const waiting = new Set<() => void>()
  const handle: http.RequestListener = (request, response) => {
    let text = ''
    request.on('data', chunk => {
      text += chunk
    })
    request.on('end', () => {
      received.push({ headers: request.headers, body: JSON.parse(text) })
      answer(response, received.length)
      for (const look of waiting) look()
    })
  }
  const files = issueFiles(ca, ['localhost'])
  const server = secure
    ? https.createServer({ cert: files.chainPem, key: files.keyPem }, handle)
    : http.createServer(handle)
  servers.push(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `${secure ? 'https' : 'http'}://localhost:${port}/hook?secret=tell-nobody`,
    received,
    count: (wanted: number) =>
      new Promise<void>(resolve => {
        const look = () => received.length >= wanted && resolve()
        waiting.add(look)
        look()
      }),
  }
}

function recorder() {
  let text = ''
  const waiting = new Set<() => void>()
  const log = createLog({
    level: 'debug',
    format: 'json',
    out(lines) {
      text += lines
      for (const look of waiting) look()
    },
  })
  return {
    log,
    text: () => text,
    until: (wanted: RegExp) =>
      new Promise<void>(resolve => {
        const look = () => wanted.test(text) && resolve()
        waiting.add(look)
        look()
      }),
  }
}

const alert = (name: string): Alert => ({
  event: 'certificate-expiring',
  leaf: { names: [name], notAfter: Date.UTC(2030, 0, 1), fingerprint256: 'AB:CD' },
  source: '/etc/shop.pem',
  sites: ['shop.example.com'],
  why: null,
})
/** Longer than any machine takes. */
const timeoutMs = 60_000
const ok = (response: http.ServerResponse) => void response.writeHead(204).end()

describe('an alert', () => {
  test('is one POST of JSON, with token and headers, over https with a CA of its own', async () => {
    const hook = await receiver(ok, true)
    const { log, text } = recorder()
    const alerts = new Alerts(log)
    alerts.target = {
      url: hook.url,
      headers: { authorization: 'Bearer s3cret', 'x-team': 'edge' },
      trust: { ca: ca.certificatePem },
      timeoutMs,
    }
    alerts.raise(alert('a.test'), Date.UTC(2029, 11, 20, 12))
    await hook.count(1)
    const [{ headers, body }] = hook.received as [Received]
    assert.equal(headers['authorization'], 'Bearer s3cret')
    assert.equal(headers['x-team'], 'edge')
    assert.equal(headers['content-type'], 'application/json')
    const { gateway, ...rest } = body
    assert.ok(typeof gateway === 'string' && gateway !== '')
    assert.deepEqual(rest, {
      event: 'certificate-expiring',
      names: ['a.test'],
      sites: ['shop.example.com'],
      source: '/etc/shop.pem',
      notAfter: '2030-01-01T00:00:00.000Z',
      daysLeft: 11,
      fingerprint: 'AB:CD',
      why: null,
      time: '2029-12-20T12:00:00.000Z',
    })
    alerts.close()
    assert.equal(text(), '')
  })

  test('is tried again, and given up in the end; no secret is logged', async () => {
    const hook = await receiver((response, count) => void response.writeHead(count === 3 ? 200 : 503).end())
    const { log, text, until } = recorder()
    const alerts = new Alerts(log, [1, 1])
    alerts.target = { url: hook.url, headers: { authorization: 'Bearer s3cret' }, trust: { ca: null }, timeoutMs }
    alerts.raise(alert('a.test'))
    await hook.count(3)
    alerts.raise(alert('b.test'))
    await until(/given up/)
    assert.equal(hook.received.length, 6)
    assert.match(text(), /"to":"http:\/\/localhost:\d+","why":"it answered 503","next":"tried again in 1 s"/)
    assert.ok(!/tell-nobody|s3cret/.test(text()), text())
    alerts.close()
  })

  test('goes nowhere else: a redirect is a failure', async () => {
    const other = await receiver(ok)
    const hook = await receiver(response => void response.writeHead(307, { location: other.url }).end())
    const { log, until } = recorder()
    const alerts = new Alerts(log, [])
    alerts.target = { url: hook.url, headers: {}, trust: { ca: null }, timeoutMs }
    alerts.raise(alert('a.test'))
    await until(/it answered 307/)
    assert.equal(other.received.length, 0)
  })

  test('is not sent to who has another CA', async () => {
    const hook = await receiver(ok, true)
    const { log, until } = recorder()
    const alerts = new Alerts(log, [])
    alerts.target = { url: hook.url, headers: {}, trust: { ca: testCa('Another').certificatePem }, timeoutMs }
    alerts.raise(alert('a.test'))
    await until(/given up/)
    assert.equal(hook.received.length, 0)
  })

  test('does not wait for an answer without end', async () => {
    const hook = await receiver((response, count) => {
      response.writeHead(200)
      if (count > 1) return void response.end()
      const flood = () => {
        while (response.write(Buffer.alloc(65_536)));
      }
      response.on('drain', flood)
      response.on('error', () => {})
      flood()
    })
    const { log } = recorder()
    const alerts = new Alerts(log, [])
    alerts.target = { url: hook.url, headers: {}, trust: { ca: null }, timeoutMs }
    alerts.raise(alert('a.test'))
    alerts.raise(alert('b.test'))
    await hook.count(2)
  })

  test('does not wait longer than its timeout for a receiver that says nothing', async () => {
    const hook = await receiver(() => {})
    const { log, until } = recorder()
    const alerts = new Alerts(log, [])
    alerts.target = { url: hook.url, headers: {}, trust: { ca: null }, timeoutMs: 50 }
    alerts.raise(alert('a.test'))
    await until(/given up/)
    alerts.close()
  })

  test('never piles up: of too many that wait the oldest go', async () => {
    const hook = await receiver(ok)
    const { log, text } = recorder()
    const alerts = new Alerts(log, [])
    alerts.target = { url: hook.url, headers: {}, trust: { ca: null }, timeoutMs }
    for (let at = 0; at < mostWaiting + 50; at++) alerts.raise(alert(`n${at}.test`))
    await hook.count(mostWaiting)
    assert.deepEqual(hook.received[0]?.body['names'], ['n50.test'])
    assert.match(text(), /the oldest is dropped/)
    alerts.close()
  })
})

describe('the expiry of a certificate', () => {
  const end = Date.UTC(2030, 0, 1)
  const listed = (more: Partial<ListedCertificate> = {}): ListedCertificate => ({
    source: 'shop.pem',
    sites: ['shop.test'],
    problem: null,
    superseded: false,
    validity: () => ({ notBefore: end - 365 * dayMs, notAfter: end }),
    leaf: () => ({
      names: ['shop.test'],
      notBefore: end - 365 * dayMs,
      notAfter: end,
      fingerprint256: 'AB',
      serial: '1',
      subject: '',
      issuer: '',
      keyType: 'rsa',
    }),
    ...more,
  })

  test('is told once for each threshold, to the log and to the webhook by its own days', async () => {
    const { log, text } = recorder()
    const raised: Alert[] = []
    const watch = new ExpiryWatch({ log, list: () => [listed()], alert: one => raised.push(one) })
    watch.alertDays = [10, 2]
    for (let left = 40; left >= -3; left -= 0.25) await watch.check(end - left * dayMs)
    log.flush()
    const records = text()
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.deepEqual(
      records.map(each => [each.level, each.daysLeft]),
      [
        ['warn', 30],
        ['warn', 14],
        ['warn', 7],
        ['warn', 3],
        ['warn', 1],
        ['error', -1],
      ],
    )
    assert.equal(records[0].message, 'certificate expires in 30 days')
    assert.deepEqual(
      raised.map(each => each.event),
      ['certificate-expiring', 'certificate-expiring', 'certificate-expired'],
    )
  })

  test('is told once where it is far gone already, and anew for another certificate', async () => {
    const { log } = recorder()
    const raised: Alert[] = []
    let current = listed()
    const watch = new ExpiryWatch({ log, list: () => [current], alert: one => raised.push(one) })
    await watch.check(end - 2 * dayMs)
    await watch.check(end - 2 * dayMs)
    assert.equal(raised.length, 1)
    const leaf = {
      ...(listed().leaf() as NonNullable<ReturnType<ListedCertificate['leaf']>>),
      fingerprint256: 'CD',
    }
    current = listed({ leaf: () => leaf })
    await watch.check(end - 2 * dayMs)
    assert.equal(raised.length, 2)
  })

  test('of one that another has taken the place of is nobody’s concern', async () => {
    const { log } = recorder()
    const raised: Alert[] = []
    const list = () => [listed({ superseded: true }), listed({ leaf: () => null, validity: () => null })]
    await new ExpiryWatch({ log, list, alert: one => raised.push(one) }).check(end + 1)
    assert.deepEqual(raised, [])
  })
})
