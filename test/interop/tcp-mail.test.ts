/** Mail through the gateway to a real Postfix and from a real Dovecot, with curl, by STARTTLS and by TLS from the first byte. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { temporaryFolder } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { type MailServers, mailMissing as skip, startMailServers } from '../harness/mail-servers.ts'
import { smtpOverTls } from '../harness/start-tls.ts'
import { eventually } from '../harness/until.ts'

const address = '127.0.0.1'
const ports = { tls: 0, smtp: 1, imap: 2, pop3: 3, proxied: 4 }
const hosts = { tls: 'imap.example.com', smtp: 'mx.example.com', imap: 'imap.example.com', pop3: 'pop.example.com' }
let servers: MailServers
let gateway: Started
const mail = path.join(temporaryFolder(), 'mail.txt')

before(async () => {
  if (skip) return
  writeFileSync(mail, 'Subject: hello\r\n\r\nthe body\r\n.a line with a dot\r\n')
  servers = await startMailServers()
  const site = (host: string, port: number, startTls: 'smtp' | 'imap' | 'pop3', more = {}) => ({
    host,
    certificate: 'local' as const,
    tcp: { to: [`${address}:${port}`], startTls, ...more },
  })
  gateway = await startGateway({
    listen: [
      { port: 0, address },
      { port: 0, address, startTls: 'smtp' },
      { port: 0, address, startTls: 'imap' },
      { port: 0, address, startTls: 'pop3' },
      { port: 0, address, startTls: 'smtp', proxyProtocol: { from: [address] } },
    ],
    sites: [
      site('mx.example.com', servers.smtp, 'smtp', { proxyProtocol: 'v1' }),
      site('imap.example.com', servers.imap, 'imap', { proxyProtocol: 'v2' }),
      site('pop.example.com', servers.pop3, 'pop3'),
    ],
  })
})

after(async () => {
  if (skip) return
  await gateway.stop()
  await servers.stop()
})

/** @returns what curl got, or its complaint; `way` is the scheme and the listener */
function curl(
  scheme: string,
  listener: keyof typeof hosts,
  target: string,
  ...more: readonly string[]
): Promise<string> {
  const port = gateway.ports[ports[listener]] as number
  const host = hosts[listener]
  const words = ['-sS', '--ssl-reqd', '--cacert', gateway.caFile, '--resolve', `${host}:${port}:${address}`]
  const all = [...words, '--max-time', '60', ...more, `${scheme}://${host}:${port}${target}`]
  return new Promise(resolve => {
    execFile('curl', all, (error, out, complaint) => resolve(error === null ? out : complaint))
  })
}

const user = ['-u', 'alice:secret']

describe('mail', { skip }, () => {
  it('is sent with STARTTLS to Postfix, and read with STARTTLS, STLS and TLS from Dovecot', async () => {
    const sent = await curl(
      'smtp',
      'smtp',
      '',
      '--mail-from',
      'bob@client.test',
      '--mail-rcpt',
      'alice@example.com',
      '-T',
      mail,
    )
    assert.equal(sent, '')
    await eventually('the mail has come', async () =>
      /the body/.test(await curl('imap', 'imap', '/INBOX;MAILINDEX=1', ...user)),
    )
    for (const [scheme, listener, target] of [
      ['imap', 'imap', '/INBOX;MAILINDEX=1'],
      ['imaps', 'tls', '/INBOX;MAILINDEX=1'],
      ['pop3', 'pop3', '/1'],
    ] as const)
      assert.match(
        await curl(scheme, listener, target, ...user),
        /Subject: hello\r\n.*the body\r\n\.a line with a dot/s,
      )
  })

  it('is not read with a wrong password, nor by a client that does not trust the certificate', async () => {
    assert.match(
      await curl('imap', 'imap', '/INBOX', '-u', 'alice:wrong'),
      /[Ll]ogin denied|Access denied|authentication/,
    )
    assert.match(await curl('imap', 'imap', '/INBOX', ...user, '--cacert', '/dev/null'), /CA|certificate/)
  })

  it('is not relayed for a stranger: Postfix knows the client by its PROXY header', async () => {
    const header = 'PROXY TCP4 203.0.113.7 192.0.2.1 1000 25\r\n'
    const client = await smtpOverTls(
      gateway.ports[ports.proxied] as number,
      { servername: 'mx.example.com' },
      header,
    )
    for (const [command, answer] of [
      ['EHLO stranger.test', /\n250 /],
      ['MAIL FROM:<bob@stranger.test>', /250 2\.1\.0/],
      ['RCPT TO:<carol@elsewhere.test>', /454 4\.7\.1 .*Relay access denied|554 5\.7\.1 .*Relay access denied/],
      ['RCPT TO:<alice@example.com>', /250 2\.1\.5/],
    ] as const) {
      client.send(`${command}\r\n`)
      await client.until(text => answer.test(text))
    }
    assert.ok(!client.received().includes('STARTTLS'))
    assert.ok(!client.received().startsWith('220'))
    client.destroy()
    await eventually('Postfix has logged the client', () =>
      /connect from .*203\.0\.113\.7/.test(servers.postfixLog()),
    )
  })
})
