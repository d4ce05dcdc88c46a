/** PostgreSQL behind the gateway's ordinary TLS port: psql with libpq 15 and 17, by SSLRequest and by direct TLS. */
import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { issueClientFiles, issueFiles, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { freePort } from '../harness/ports.ts'
import { type Libpq, type Postgres, postgresMissing as skip, startPostgres } from '../harness/postgres.ts'
import { type RawClient, rawTcp } from '../harness/raw.ts'
import { postgresPacket, sslRequest, upgrade } from '../harness/start-tls.ts'

const ca = testCa()
const own = issueFiles(ca, ['db.example.com', 'signed.example.com', 'dead.example.com'])
const client = issueClientFiles(ca, 'alice')
let postgres: Postgres
let gateway: Started

before(async () => {
  if (skip) return
  chmodSync(client.keyFile, 0o600)
  const { chainPem, keyPem } = issueFiles(ca, ['through.example.com'])
  postgres = await startPostgres({ chainPem, keyPem, caPem: ca.certificatePem })
  const tcp = { to: [`127.0.0.1:${postgres.port}`], startTls: 'postgres' as const }
  const certificate = { chain: own.chainFile, key: own.keyFile }
  gateway = await startGateway({
    sites: [
      { host: 'db.example.com', certificate, tcp },
      { host: 'signed.example.com', certificate, clients: { ca: [ca.file] }, tcp },
      { host: 'dead.example.com', certificate, tcp: { ...tcp, to: [`127.0.0.1:${await freePort()}`] } },
      {
        host: 'through.example.com',
        passthrough: { to: [`127.0.0.1:${postgres.port}`], startTls: 'postgres' },
      },
      { host: 'web.example.com', certificate: 'local', routes: [{ respond: { body: 'web' } }] },
    ],
  })
})

after(async () => {
  if (skip) return
  await gateway.stop()
  await postgres.stop()
})

const connection = (host: string, more = ''): string =>
  `host=${host} hostaddr=127.0.0.1 port=${gateway.port} user=postgres sslmode=verify-full sslrootcert=${ca.file} ` +
  `gssencmode=disable ${more}`

const ask = (libpq: Libpq, host: string, more = '') => postgres.psql(libpq, connection(host, more), 'select 40 + 2')

const ways: readonly (readonly [Libpq, string])[] = [
  ['15', ''],
  ['17', ''],
  ['17', 'sslnegotiation=direct'],
]

describe('psql', { skip }, () => {
  for (const [libpq, way] of ways) {
    it(`connects with sslmode=verify-full: libpq ${libpq} ${way}`, async () => {
      assert.equal(await ask(libpq, 'db.example.com', way), '42')
      assert.match(
        await ask(libpq, 'db.example.com', `${way} hostaddr=127.0.0.1 sslrootcert=${client.chainFile}`),
        /certificate/,
      )
    })

    it(`shows a client certificate where one is required: libpq ${libpq} ${way}`, async () => {
      const shown = `sslcert=${client.chainFile} sslkey=${client.keyFile}`
      assert.equal(await ask(libpq, 'signed.example.com', `${way} ${shown}`), '42')
      assert.match(await ask(libpq, 'signed.example.com', way), /SSL|certificate/)
      await gateway.logged(each => each['error'] === 'CLIENT_CERTIFICATE')
    })

    it(`authenticates with SCRAM, without channel binding: libpq ${libpq} ${way}`, async () => {
      const scram = `${way} user=scram dbname=postgres`
      assert.equal(await ask(libpq, 'db.example.com', `${scram} password=secret`), '42')
      assert.match(await ask(libpq, 'db.example.com', `${scram} password=wrong`), /password authentication failed/)
      const bound = await ask(libpq, 'db.example.com', `${scram} password=secret channel_binding=require`)
      assert.match(bound, /channel binding/)
    })

    it(`is not connected to a site of another kind: libpq ${libpq} ${way}`, async () => {
      assert.match(await ask(libpq, 'web.example.com', way), /SSL error|SSL/)
    })
  }

  it('reaches the TLS of its server through passthrough: channel binding, certificates of users', async () => {
    for (const libpq of ['15', '17'] as const) {
      const bound = 'user=scram dbname=postgres password=secret channel_binding=require'
      assert.equal(await ask(libpq, 'through.example.com', bound), '42')
      const alice = `user=alice dbname=postgres sslcert=${client.chainFile} sslkey=${client.keyFile}`
      assert.equal(await ask(libpq, 'through.example.com', alice), '42')
      assert.match(await ask(libpq, 'through.example.com', 'user=alice dbname=postgres'), /certificate/)
    }
  })

  it('is told in its own words that TLS is required', async () => {
    for (const libpq of ['15', '17'] as const)
      assert.match(
        await ask(libpq, 'db.example.com', 'sslmode=disable'),
        /FATAL: {2}connections without TLS are refused: use sslmode=verify-full \(or require\)/,
      )
  })

  it('is told in its own words that the server cannot be reached', async () => {
    for (const [libpq, way] of ways)
      assert.match(await ask(libpq, 'dead.example.com', way), /FATAL: {2}the database server cannot be reached/)
  })

  it('carries large results', async () => {
    const big = await postgres.psql(
      '17',
      connection('db.example.com'),
      "select length(string_agg(repeat('x', 1000), '')) from generate_series(1, 20000)",
    )
    assert.equal(big, '20000000')
    const rows = await postgres.psql('15', connection('db.example.com'), 'select * from generate_series(1, 50000)')
    assert.equal(rows.split('\n').length, 50_000)
  })
})

/** A session that has been told its key for cancel requests */
async function session(): Promise<{ readonly inside: RawClient; readonly key: string }> {
  const inside = await secured()
  inside.send(postgresPacket(196_608, 'user\0postgres\0database\0postgres\0\0'))
  const received = await inside.until(text => text.endsWith('Z\0\0\0\x05I'))
  const at = received.indexOf('K\0\0\0\x0c')
  return { inside, key: received.slice(at + 5, at + 13) }
}

async function secured(): Promise<RawClient> {
  const outside = await rawTcp(gateway.port)
  outside.send(sslRequest)
  await outside.until(text => text === 'S')
  return upgrade(outside, { servername: 'db.example.com' })
}

describe('a CancelRequest', { skip }, () => {
  it('inside TLS ends the query', async () => {
    const { inside, key } = await session()
    const query = 'select pg_sleep(600)\0'
    const message = Buffer.alloc(5)
    message.write('Q')
    message.writeUInt32BE(query.length + 4, 1)
    inside.send(Buffer.concat([message, Buffer.from(query)]))
    const cancelling = (async () => {
      // The server may not have begun with the query: it is asked until the session has heard of it.
      while (!inside.received().includes('57014')) {
        const canceller = await secured()
        canceller.send(postgresPacket(80877102, key))
        await canceller.closed()
      }
    })()
    await inside.until(text => /C57014\0Mcanceling statement due to user request/.test(text))
    await cancelling
    inside.destroy()
  })
})
