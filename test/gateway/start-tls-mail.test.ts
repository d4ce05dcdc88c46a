/** A listener that begins in cleartext with SMTP, IMAP, POP3 or XMPP: TLS is required, and nothing said before it counts. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { issueClientFiles, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { freePort } from '../harness/ports.ts'
import { type RawClient, type RecordingBackend, rawTcp, rawTls, recordingBackend } from '../harness/raw.ts'
import { smtpOverTls, smtpToTls, spoken, upgrade } from '../harness/start-tls.ts'

const address = '127.0.0.1'
const ports = { tls: 0, smtp: 1, imap: 2, pop3: 3, xmpp: 4, proxied: 5 }
const portOf = (name: keyof typeof ports, of = gateway): number => of.ports[ports[name]] as number
const handshakeMs = 1_500
const ca = testCa()

let gateway: Started
const backends = new Map<string, RecordingBackend>()

/** Behind `<name>.test`: greets, and repeats each line that it hears */
async function backend(name: string, greeting: string): Promise<string[]> {
  const own = await recordingBackend(
    (client, received) => {
      if (received.endsWith('\n')) client.send(`250 ${name} heard ${received.split('\n').at(-2)?.trim()}\r\n`)
    },
    { greeting },
  )
  backends.set(name, own)
  return [`${address}:${own.port}`]
}
const behind = (name: string) => backends.get(name) as RecordingBackend

async function ask(client: RawClient, line: string): Promise<string> {
  client.send(`${line}\r\n`)
  return client.until(text => text.includes(`heard ${line}`))
}

const refusedWith = async (code: string, why: RegExp, client: RawClient): Promise<void> => {
  const { localPort } = client
  const record = await gateway.logged(each => each['error'] === code && each['clientPort'] === localPort)
  assert.match(String(record['why']), why)
}

before(async () => {
  const site = async (name: string, startTls: 'smtp' | 'imap' | 'pop3' | 'xmpp', greeting: string, more = {}) => ({
    host: `${name}.test`,
    certificate: 'local' as const,
    tcp: { to: await backend(name, greeting), startTls },
    ...more,
  })
  const signed = { clients: { ca: [ca.file], verify: 'require' } }
  const listen = (['smtp', 'imap', 'pop3', 'xmpp'] as const).map(startTls => ({ port: 0, address, startTls }))
  gateway = await startGateway({
    listen: [
      { port: 0, address },
      ...listen,
      { port: 0, address, startTls: 'smtp', proxyProtocol: { from: [address] } },
    ],
    timeouts: { handshake: `${handshakeMs}ms`, response: '700ms' },
    sites: [
      { host: 'web.test', certificate: 'local', default: true, routes: [{ respond: { body: 'web' } }] },
      { host: address, certificate: 'local', routes: [{ respond: { body: 'by address' } }] },
      await site('mail', 'smtp', '220-mail\r\n220 mail.internal ESMTP\r\n'),
      await site('signed', 'smtp', '220 hi\r\n', signed),
      await site('no', 'smtp', '554 5.7.1 go away\r\n'),
      await site('mute', 'smtp', ''),
      await site('hasty', 'smtp', '220 hi\r\n250 unasked\r\n'),
      {
        host: 'dead.test',
        certificate: 'local',
        tcp: { to: [`${address}:${await freePort()}`], startTls: 'smtp' },
      },
      await site('box', 'imap', '* OK box\r\n'),
      await site('pop', 'pop3', '+OK pop\r\n'),
      await site('chat', 'xmpp', ''),
    ],
  })
})

after(async () => {
  await gateway.stop()
  for (const each of backends.values()) await each.close()
})

describe('SMTP', () => {
  it('changes to TLS by name, and reaches a backend that has heard nothing but what came inside', async () => {
    const client = await smtpOverTls(portOf('smtp'), { servername: 'mail.test' })
    assert.equal(await ask(client, 'EHLO inside.test'), '250 mail heard EHLO inside.test\r\n')
    await ask(client, 'MAIL FROM:<a@b.test>')
    assert.equal(behind('mail').received(), 'EHLO inside.test\r\nMAIL FROM:<a@b.test>\r\n')
    client.destroy()
    await gateway.logged(each => each['message'] === 'tcp' && each['sni'] === 'mail.test')
  })

  it('changes to TLS byte by byte, behind a PROXY header, and with what the client sends at once inside', async () => {
    const proxied = await smtpOverTls(
      portOf('proxied'),
      { servername: 'mail.test' },
      'PROXY TCP4 203.0.113.7 192.0.2.1 1000 25\r\n',
    )
    const slow = await rawTcp(portOf('smtp'))
    await slow.until(text => text.startsWith('220 '))
    await slow.sendBytewise(smtpToTls.join(''))
    await slow.until(text => text.includes('220 2.0.0'))
    const inside = await upgrade(slow, { servername: 'mail.test' })
    for (const client of [proxied, inside]) {
      await ask(client, 'EHLO again.test')
      client.destroy()
    }
    await gateway.logged(each => each['client'] === '203.0.113.7' && each['sni'] === 'mail.test')
  })

  it('refuses what is pipelined behind STARTTLS, and no backend hears of it (CVE-2011-0411)', async () => {
    for (const early of ['RSET\r\nMAIL FROM:<evil@evil.test>\r\n', '\x16\x03\x01\x00\x05'])
      for (const commands of [['EHLO a\r\n', `STARTTLS\r\n${early}`], [`EHLO a\r\nSTARTTLS\r\n${early}`]]) {
        const client = await spoken(portOf('smtp'), commands)
        const { received } = await client.closed()
        assert.match(received, /\r\n421 4\.7\.0 .*\r\n$/)
        assert.ok(!received.includes('220 2.0.0'))
        await refusedWith('STARTTLS_PIPELINED', /bytes came in cleartext together with STARTTLS/, client)
      }
    assert.ok(!behind('mail').received().includes('evil'))
  })

  it('takes cleartext behind the answer to STARTTLS for a broken ClientHello', async () => {
    const client = await spoken(portOf('smtp'), smtpToTls)
    await client.until(text => text.includes('220 2.0.0'))
    client.send('RSET\r\nMAIL FROM:<evil@evil.test>\r\n')
    const { received } = await client.closed()
    assert.match(received, /\x15\x03.\x00\x02\x02.$/s)
    await refusedWith('TLS_MALFORMED', /./, client)
  })

  it('serves a client without a name only where it is clear whom it wants, and no site of another kind', async () => {
    await assert.rejects(smtpOverTls(portOf('smtp'), {}), /unrecognized.name/i)
    await gateway.logged(each => /no server name behind smtp, and 6 sites/.test(String(each['why'])))
    for (const servername of ['web.test', 'box.test', 'nobody.test'])
      await assert.rejects(smtpOverTls(portOf('smtp'), { servername }), /unrecognized.name/i)
    await gateway.logged(each => /web\.test does not say tcp: \{ startTls: smtp \}/.test(String(each['why'])))
    assert.equal(behind('box').connections.length, 0)
  })

  it('asks for client certificates as the site says', async () => {
    const { chainPem: cert, keyPem: key } = issueClientFiles(ca, 'relay')
    const client = await smtpOverTls(portOf('smtp'), { servername: 'signed.test', cert, key })
    await ask(client, 'EHLO a.test')
    client.destroy()
    const before = behind('signed').connections.length
    const without = await smtpOverTls(portOf('smtp'), { servername: 'signed.test' }).catch(() => null)
    await without?.closed()
    await gateway.logged(each => each['error'] === 'CLIENT_CERTIFICATE' && each['sni'] === 'signed.test')
    assert.equal(behind('signed').connections.length, before)
  })

  it('gives a client the refusal of the backend, and closes', async () => {
    const client = await smtpOverTls(portOf('smtp'), { servername: 'no.test' })
    assert.equal((await client.closed()).received, '554 5.7.1 go away\r\n')
    const record = await gateway.logged(each => each['error'] === 'BAD_GREETING' && each['sni'] === 'no.test')
    assert.match(String(record['why']), /refused the connection: "554 5\.7\.1 go away"/)
    await behind('no').connections[0]?.closed()
  })

  it('ends with a backend that says nothing, or more than a greeting', async () => {
    for (const [name, code, why] of [
      ['mute', 'RESPONSE_TIMEOUT', /no greeting of smtp .* timeouts\.response/],
      ['hasty', 'BAD_GREETING', /more than a greeting/],
    ] as const) {
      const client = await smtpOverTls(portOf('smtp'), { servername: `${name}.test` })
      client.send('EHLO a.test\r\n')
      assert.equal((await client.closed()).received, '421 4.3.2 service not available, try again later\r\n')
      const record = await gateway.logged(each => each['error'] === code && each['sni'] === `${name}.test`)
      assert.match(String(record['why']), why)
      await behind(name).connections[0]?.closed()
      assert.equal(behind(name).received(), '')
    }
  })

  it('is told inside TLS that the backend cannot be reached, and cut off if it does not leave', async () => {
    const client = await smtpOverTls(portOf('smtp'), { servername: 'dead.test' })
    client.send('EHLO a.test\r\n')
    await client.until(text => text === '421 4.3.2 service not available, try again later\r\n')
    const record = await gateway.logged(each => each['error'] === 'CONNECT_REFUSED' && each['sni'] === 'dead.test')
    assert.equal(record['bytesOut'], 50)
    const deaf = await smtpOverTls(portOf('smtp'), { servername: 'dead.test' })
    deaf.socket.pause()
    await gateway.logged(each => each['clientPort'] === deaf.localPort && each['error'] === 'CONNECT_REFUSED')
    deaf.destroy()
  })

  it('lets the backend go when the client leaves before its greeting', async () => {
    const before = behind('mute').connections.length
    const client = await smtpOverTls(portOf('smtp'), { servername: 'mute.test' })
    const own = await behind('mute').connection(before)
    client.destroy()
    await own.closed()
    const records = gateway
      .logs()
      .filter(each => each['clientPort'] === client.localPort && each['message'] === 'tcp')
    assert.deepEqual(
      records.map(each => each['error']),
      ['CLIENT_GONE'],
    )
  })

  it('is not spoken to by a browser, which offers other protocols', async () => {
    const options = { servername: 'mail.test', ALPNProtocols: ['h2', 'http/1.1'] }
    await assert.rejects(smtpOverTls(portOf('smtp'), options), /no.application.protocol|ALPN/i)
    await assert.rejects(rawTls(portOf('tls'), options), /no.application.protocol|ALPN/i)
  })

  it('is refused in its own words when it is late, and the log says so', async () => {
    const client = await spoken(portOf('smtp'), ['EHLO a\r\n'])
    assert.match((await client.closed()).received, /250 STARTTLS\r\n421 4\.7\.0 \S+ timeout\r\n$/)
    await refusedWith(
      'HANDSHAKE_TIMEOUT',
      /smtp client did not ask for TLS .*timeouts\.handshake \(1500 ms\)/,
      client,
    )
    const half = await spoken(portOf('smtp'), smtpToTls)
    await half.closed()
    await refusedWith('HANDSHAKE_TIMEOUT', /no whole first message .*timeouts\.handshake/, half)
  })

  it('is closed after QUIT, and looked at no more', async () => {
    const client = await spoken(portOf('smtp'), ['QUIT\r\n'])
    const { received } = await client.closed()
    assert.match(received, /\r\n221 2\.0\.0 Bye\r\n$/)
  })

  it('logs who was sent away without TLS, and nothing of what it said', async () => {
    const client = await spoken(portOf('smtp'), ['EHLO a\r\n', 'AUTH PLAIN c2VjcmV0\r\n', 'QUIT\r\n'])
    await client.closed()
    await refusedWith('STARTTLS_REQUIRED', /sent AUTH in cleartext, and left without STARTTLS/, client)
    assert.ok(!JSON.stringify(gateway.logs()).includes('c2VjcmV0'))
  })
})

describe('clients of something else', () => {
  it('are named: TLS at once, HTTP, PostgreSQL', async () => {
    await assert.rejects(rawTls(portOf('smtp'), { servername: 'web.test' }))
    await gateway.logged(each => /a TLS ClientHello where smtp begins in cleartext/.test(String(each['why'])))
    const browser = await spoken(portOf('imap'), ['GET / HTTP/1.1\r\nHost: box.test\r\n\r\n'])
    assert.match((await browser.closed()).received, /\* BYE this is IMAP\r\n$/)
    await refusedWith('STARTTLS_MALFORMED', /an HTTP request where IMAP begins/, browser)
    const database = await rawTcp(portOf('pop3'))
    database.send('\0\0\0\x08\x04\xd2\x16\x2f')
    await database.closed()
    await refusedWith('POSTGRES_NOT_SERVED', /a PostgreSQL client on a port for pop3/, database)
  })
})

describe('the other protocols', () => {
  it('IMAP: nothing but STARTTLS is possible, and the backend answers inside', async () => {
    const outside = await spoken(portOf('imap'), ['a1 CAPABILITY\r\n', 'a2 LOGIN me secret\r\n', 'a3 STARTTLS\r\n'])
    const said = await outside.until(text => text.includes('a3 OK'))
    assert.match(said, /a2 NO \[PRIVACYREQUIRED\]/)
    const client = await upgrade(outside, { servername: 'box.test' })
    await ask(client, 'a1 CAPABILITY')
    assert.equal(behind('box').received(), 'a1 CAPABILITY\r\n')
    client.destroy()
  })

  it('POP3, from a client without a name: the one site that speaks it', async () => {
    const outside = await spoken(portOf('pop3'), ['STLS\r\n'])
    await outside.until(text => text.includes('+OK begin'))
    const client = await upgrade(outside, {})
    await ask(client, 'CAPA')
    client.destroy()
  })

  it('XMPP: the client speaks first, also to the backend', async () => {
    const outside = await rawTcp(portOf('xmpp'))
    outside.send("<stream:stream xmlns='jabber:client' to='chat.test' version='1.0'>")
    await outside.until(text => text.endsWith('</stream:features>'))
    outside.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    await outside.until(text => text.includes('<proceed'))
    const client = await upgrade(outside, { servername: 'chat.test' })
    await ask(client, '<stream:stream>')
    assert.equal(behind('chat').received(), '<stream:stream>\r\n')
    client.destroy()
  })

  it('are greeted by their own server where TLS comes first', async () => {
    const client = await rawTls(portOf('tls'), { servername: 'box.test', ALPNProtocols: [] })
    assert.equal(await client.until(text => text.endsWith('\n')), '* OK box\r\n')
    client.destroy()
  })
})

describe('limits', () => {
  it('send a client away in its own words, and a drain does too', async () => {
    const to = await backend('few', '220 hi\r\n')
    const own = await startGateway({
      listen: [{ port: 0, address, startTls: 'smtp' }],
      limits: { connectionsPerClient: 1 },
      sites: [{ host: 'few.test', certificate: 'local', tcp: { to, startTls: 'smtp' } }],
    })
    const first = await spoken(own.port, [])
    await first.until(text => text === '220 few.test ESMTP\r\n')
    const second = await rawTcp(own.port)
    assert.equal((await second.closed()).received, '421 4.7.0 few.test too many connections\r\n')
    await own.stop()
    assert.match((await first.closed()).received, /\r\n421 4\.7\.0 few\.test try again later\r\n$/)
  })
})
