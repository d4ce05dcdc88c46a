/** dns-01: records are waited for where the CA looks, aliases are followed, and every provider says what went wrong. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type net from 'node:net'
import path from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { acmeDnsProvider } from '../../src/acme/dns/acme-dns.ts'
import { ask, authoritativeServers, followAliases, textAt } from '../../src/acme/dns/client.ts'
import { programProvider } from '../../src/acme/dns/program.ts'
import type { DnsProvider } from '../../src/acme/dns/provider.ts'
import { dnsSolver, recordValue } from '../../src/acme/dns/solve-dns.ts'
import { webhookProvider } from '../../src/acme/dns/webhook.ts'
import { httpClient } from '../../src/acme/http.ts'
import type { Challenge } from '../../src/model/challenge.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { type FakeDns, fakeDns, named, txt } from '../harness/fake-dns.ts'

const never = new AbortController().signal
const challenge = (name: string, token: string): Challenge => ({
  kind: 'dns-01',
  name,
  token,
  keyAuthorization: `${token}.print`,
})

let dns: FakeDns
beforeEach(async () => {
  dns = await fakeDns()
})
afterEach(() => dns.close())

/** Records what is set, in a map that the DNS server shows. */
function memoryProvider(more: Partial<DnsProvider> = {}) {
  const records = new Map<string, Set<string>>()
  const provider: DnsProvider = {
    name: 'memory',
    async set(fqdn, value) {
      records.set(fqdn, (records.get(fqdn) ?? new Set()).add(value))
    },
    async unset(fqdn, value) {
      records.get(fqdn)?.delete(value)
    },
    ...more,
  }
  return { records, provider }
}

const solverOf = (
  provider: DnsProvider,
  timeoutMs = 5_000,
  warn: (text: string) => void = text => assert.fail(text),
) => dnsSolver({ provider, resolvers: [dns], propagation: { timeoutMs, waitMs: 0 }, everyMs: 5, warn })

describe('the solver', () => {
  test('waits until the record is there, and two at one name are both there', async () => {
    const { records, provider } = memoryProvider()
    let looks = 0
    dns.answer = (name, type) => {
      // The name server is slow to load what was set.
      if (type !== 16 || looks++ < 4) return { rcode: 3 }
      return { records: txt(name, ...(records.get(name) ?? [])) }
    }
    const solver = solverOf(provider)
    const [first, second] = [challenge('example.com', 'a'), challenge('example.com', 'b')]
    await Promise.all([solver.present(first, never), solver.present(second, never)])
    const values = [first, second].map(one => recordValue(one.keyAuthorization)).sort()
    assert.deepEqual([...records.get('_acme-challenge.example.com')!].sort(), values)
    await solver.remove(first)
    assert.deepEqual([...records.get('_acme-challenge.example.com')!], [recordValue(second.keyAuthorization)])
    await solver.remove(second)
    // Twice does no harm.
    await solver.remove(second)
    assert.equal(records.get('_acme-challenge.example.com')!.size, 0)
    assert.deepEqual([solver.fits('example.com', true), solver.fits('192.0.2.1', false)], [true, false])
  })

  test('sets the record where a CNAME leads', async () => {
    const { records, provider } = memoryProvider()
    dns.answer = (name, type) => {
      if (name === '_acme-challenge.example.com') return { records: [named(name, 5, 'abc.Proofs.test')] }
      return { records: type === 16 ? txt(name, ...(records.get(name) ?? [])) : [] }
    }
    await solverOf(provider).present(challenge('example.com', 'a'), never)
    assert.deepEqual([...records.keys()], ['abc.proofs.test'])
  })

  test('says who does not show the record, and what it shows', async () => {
    dns.answer = (name, type) => (type === 16 ? { records: txt(name, 'something else') } : {})
    await assert.rejects(solverOf(memoryProvider().provider, 40).present(challenge('a.test', 'a'), never), {
      kind: 'challenge',
      message: new RegExp(`_acme-challenge.a.test was not seen within 40ms: 127.0.0.1:${dns.port} has 1 other`),
    })
    dns.answer = () => ({ rcode: 2 })
    await assert.rejects(
      solverOf(memoryProvider().provider, 40).present(challenge('a.test', 'a'), never),
      /SERVFAIL/,
    )
  })

  test('without a look, nobody is needed to answer', async () => {
    dns.answer = () => ({ rcode: 5 })
    const { records, provider } = memoryProvider()
    await solverOf(provider, 0).present(challenge('a.test', 'a'), never)
    assert.equal(records.size, 1)
  })

  test('a provider that takes two at once gets no third until one is gone', async () => {
    const { records, provider } = memoryProvider({ atOnce: 2 })
    const solver = solverOf(provider, 0)
    await solver.present(challenge('a.test', 'a'), never)
    await solver.present(challenge('b.test', 'b'), never)
    const third = solver.present(challenge('c.test', 'c'), never)
    const given = new AbortController()
    const fourth = solver.present(challenge('d.test', 'd'), given.signal)
    given.abort()
    await assert.rejects(fourth, { kind: 'cancelled' })
    assert.equal(records.size, 2)
    await solver.remove(challenge('a.test', 'a'))
    await third
    assert.equal(records.size, 3)
    await solver.remove(challenge('d.test', 'd'))
  })

  test('a record that cannot be removed is told, and no failure', async () => {
    const warned: string[] = []
    const { provider } = memoryProvider({
      unset: async () => {
        throw new Error('the server is gone')
      },
    })
    const solver = solverOf(provider, 0, text => warned.push(text))
    await solver.present(challenge('a.test', 'a'), never)
    await solver.remove(challenge('a.test', 'a'))
    assert.deepEqual(warned, [
      'the TXT record at _acme-challenge.a.test could not be removed by memory: the server is gone',
    ])
  })
})

describe('the DNS client', () => {
  test('goes to TCP when an answer is cut short, or none comes over UDP', async () => {
    dns.answer = name => ({ records: txt(name, 'v'.repeat(300)) })
    dns.udp = bytes => {
      bytes.writeUInt16BE(bytes.readUInt16BE(2) | 0x0200, 2)
      return bytes
    }
    assert.deepEqual(await textAt(dns, 'a.test', false, never), ['v'.repeat(300)])
    assert.deepEqual(dns.asked, ['udp a.test 16', 'tcp a.test 16'])
  })

  test('takes no answer with another id, of another question, or of garbage', async () => {
    dns.answer = name => ({ records: txt(name, 'forged') })
    let sent = 0
    dns.udp = bytes => {
      sent++
      if (sent === 1) bytes.writeUInt16BE((bytes.readUInt16BE(0) + 1) & 0xffff, 0)
      else bytes[13] = 'b'.charCodeAt(0)
      return bytes
    }
    assert.deepEqual(await textAt(dns, 'a.test', false, never), ['forged'])
    assert.deepEqual(dns.asked, ['udp a.test 16', 'udp a.test 16', 'tcp a.test 16'])
  })

  test('finds all addresses of the name servers of a zone, by whichever answer names the zone', async () => {
    const soa = (name: string) => named(name, 6, 'ns1.example.com')
    const address = (name: string, type: number, ...bytes: number[]) => ({
      ...named(name, type, ''),
      rdata: Buffer.from(bytes),
    })
    let negative = false
    dns.answer = (name, type) => {
      if (type === 6 && name === 'example.com') return { records: [soa(name)] }
      if (type === 6 && negative) return { rcode: 3, authorities: [soa('example.com')] }
      if (type === 2 && name === 'example.com')
        return {
          records: [
            named(name, 2, 'ns1.example.com'),
            named(name, 2, 'ns2.example.net'),
            named(name, 2, 'gone.test'),
          ],
        }
      if (type === 1 && name === 'ns1.example.com')
        return { records: [address(name, 1, 192, 0, 2, 1), address(name, 1, 192, 0, 2, 2), address(name, 1, 9)] }
      if (type === 28 && name === 'ns2.example.net')
        return { records: [address(name, 28, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)] }
      return { rcode: 3 }
    }
    for (negative of [false, true]) {
      const found = await authoritativeServers([dns], '_acme-challenge.deep.example.com', never)
      assert.deepEqual(
        found.map(one => `${one.host} ${one.port}`),
        ['192.0.2.1 53', '192.0.2.2 53', '2001:db8::1 53'],
      )
    }
    dns.answer = () => ({ rcode: 3 })
    await assert.rejects(authoritativeServers([dns], 'a.test', never), /no zone has a\.test/)
  })

  test('says who refuses; circles of aliases end', async () => {
    dns.answer = () => ({ rcode: 5 })
    await assert.rejects(ask(dns, 'a.test', 'TXT', false, never), /answers REFUSED for a\.test TXT/)
    dns.answer = name => ({ records: [named(name, 5, name === 'a.test' ? 'b.test' : 'a.test')] })
    await assert.rejects(followAliases([dns], 'a.test', never), /in a circle/)
    dns.answer = name => ({ records: [named(name, 5, `x.${name}`)] })
    await assert.rejects(followAliases([dns], 'a.test', never), /more than 8 CNAMEs/)
  })
})

describe('providers over HTTP', () => {
  type Got = { headers: http.IncomingHttpHeaders; url: string; body: string }
  let server: http.Server
  let got: Got[]
  let status: number
  let url = ''
  const client = httpClient()
  beforeEach(async () => {
    got = []
    status = 200
    server = http.createServer((request, response) => {
      let body = ''
      request.on('data', chunk => {
        body += chunk
      })
      request.on('end', () => {
        got.push({ headers: request.headers, url: request.url as string, body })
        response.writeHead(status).end(status === 200 ? '{}' : 'no such\nzone')
      })
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
  })
  afterEach(() => {
    client.close()
    server.closeAllConnections()
    server.close()
  })

  test('a webhook is told what to do, with a token and a signature', async () => {
    const hook = webhookProvider(client, { url: `${url}/dns?k=hidden`, token: 'tok', secret: 's3cret' })
    await hook.set('_acme-challenge.a.test', 'value', never)
    await hook.unset('_acme-challenge.a.test', 'value', never)
    assert.deepEqual(
      got.map(one => JSON.parse(one.body)),
      ['set', 'unset'].map(action => ({ action, fqdn: '_acme-challenge.a.test', value: 'value' })),
    )
    const { headers, body } = got[0]!
    assert.equal(headers.authorization, 'Bearer tok')
    const mac = createHmac('sha256', 's3cret').update(`${headers['x-sallyport-timestamp']}.${body}`).digest('hex')
    assert.equal(headers['x-sallyport-signature'], `sha256=${mac}`)
    assert.match(headers['user-agent'] as string, /^sallyport\/[0-9]/)
    status = 403
    const error = await hook.set('a.test', 'v', never).catch(reason => reason)
    assert.match(error.message, /\/dns: status 403: no such zone$/)
    assert.ok(!/hidden|tok|s3cret/.test(error.message))
  })

  test('acme-dns is updated, and a name that does not lead to it is said', async () => {
    const own = acmeDnsProvider(client, { url: `${url}/`, username: 'u', password: 'p4ss', subdomain: 'sub-1' })
    await own.set('sub-1.proofs.test', 'value', never)
    await own.unset('sub-1.proofs.test', 'value', never)
    assert.deepEqual(
      got.map(one => [one.url, one.headers['x-api-user'], one.headers['x-api-key'], one.body]),
      [['/update', 'u', 'p4ss', '{"subdomain":"sub-1","txt":"value"}']],
    )
    await assert.rejects(own.set('_acme-challenge.a.test', 'value', never), /must be a CNAME to sub-1/)
    status = 401
    await assert.rejects(
      own.set('sub-1.proofs.test', 'value', never),
      (error: Error) => /status 401/.test(error.message) && !error.message.includes('p4ss'),
    )
  })
})

describe('a program', () => {
  const folder = temporaryFolder()
  const script = (text: string) => {
    const file = path.join(folder, `dns-${Math.random().toString(36).slice(2)}.sh`)
    writeFileSync(file, `#!/bin/sh\n${text}\n`)
    chmodSync(file, 0o755)
    return file
  }

  test('gets its arguments as they are, without a shell', async () => {
    const out = path.join(folder, 'out')
    const own = programProvider({ file: script(`printf '%s|' "$@" >> ${out}`), timeoutMs: 5_000 })
    await own.set('_acme-challenge.a.test', '-v $(touch /tmp/never) ;x', never)
    await own.unset('_acme-challenge.a.test', 'v', never)
    assert.equal(
      readFileSync(out, 'utf8'),
      'set|_acme-challenge.a.test|-v $(touch /tmp/never) ;x|unset|_acme-challenge.a.test|v|',
    )
    assert.ok(!existsSync('/tmp/never'))
  })

  test('that fails, is not there, or does not end, is told with what it said', async () => {
    const failing = programProvider({ file: script('echo "no such zone" >&2; exit 3'), timeoutMs: 5_000 })
    await assert.rejects(failing.set('a.test', 'v', never), /set a\.test: exit code 3: no such zone$/)
    const absent = programProvider({ file: path.join(folder, 'absent'), timeoutMs: 5_000 })
    await assert.rejects(absent.set('a.test', 'v', never), /absent set a\.test: ENOENT/)
    const hanging = programProvider({ file: script('sleep 60'), timeoutMs: 100 })
    await assert.rejects(hanging.set('a.test', 'v', never), /not done within 100ms/)
    const loud = programProvider({
      file: script('head -c 1000000 /dev/zero | tr "\\0" x >&2; exit 1'),
      timeoutMs: 5_000,
    })
    const error = await loud.set('a.test', 'v', never).catch(reason => reason)
    assert.ok(error.message.length < 700 && /exit code 1/.test(error.message), error.message.slice(0, 200))
    await assert.rejects(hanging.set('a.test', 'v', AbortSignal.abort()), /cancelled/)
  })
})
