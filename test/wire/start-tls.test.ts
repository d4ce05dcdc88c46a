/** What clients may say in cleartext before TLS, in each protocol: whole, byte by byte, pipelined, too long, and at random. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readGreeting } from '../../src/wire/start-tls/backend-greeting.ts'
import type { Said, StartTlsDialog } from '../../src/wire/start-tls/dialog.ts'
import { dialogOf, type ListenerProtocol } from '../../src/wire/start-tls/dialogs.ts'
import { PostgresDialog } from '../../src/wire/start-tls/postgres.ts'

const host = 'mail.test'
const packet = (code: number, more = ''): string => {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32BE(8 + more.length)
  bytes.writeUInt32BE(code, 4)
  return bytes.toString('latin1') + more
}
const ssl = packet(80877103)
const gss = packet(80877104)
const startup = packet(196608, 'user\0alice\0\0')
const cancel = packet(80877102, 'pid.key.')

const open = (protocol: ListenerProtocol | 'postgres'): StartTlsDialog =>
  protocol === 'postgres' ? new PostgresDialog(null) : dialogOf(protocol, host, null)

/** All that is said for these chunks, and how it ended */
function talk(protocol: ListenerProtocol | 'postgres', ...chunks: readonly string[]): Said {
  const dialog = open(protocol)
  let reply = dialog.greeting
  let last: Said = { reply: '', next: 'more', refused: null }
  for (const chunk of chunks) {
    assert.equal(last.next, 'more', `nothing is fed to a dialog that is over: ${JSON.stringify(chunk)}`)
    last = dialog.push(Buffer.from(chunk, 'latin1'))
    reply += last.reply
  }
  dialog.release()
  return { ...last, reply: reply.replace(/ id='[^']*'/g, " id='ID'") }
}

const stream = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='chat.test' version='1.0'>"
const features =
  "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='ID' " +
  "from='chat.test' version='1.0' xml:lang='en'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>" +
  '<required/></starttls></stream:features>'
const starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"

type Start = {
  readonly protocol: ListenerProtocol | 'postgres'
  readonly parts: readonly string[]
  readonly reply: string
}

/** How clients ask for TLS. Whatever is sent behind the last part comes too early. */
const starts: readonly Start[] = [
  {
    protocol: 'smtp',
    parts: ['EHLO client.test\r\n', 'STARTTLS\r\n'],
    reply:
      '220 mail.test ESMTP\r\n250-mail.test\r\n250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n220 2.0.0 Ready to start TLS\r\n',
  },
  {
    protocol: 'imap',
    parts: ['a1 CAPABILITY\r\n', 'a2 starttls\r\n'],
    reply:
      '* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] mail.test ready\r\n* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n' +
      'a1 OK done\r\na2 OK begin TLS now\r\n',
  },
  {
    protocol: 'pop3',
    parts: ['CAPA\r\n', 'STLS\n'],
    reply: '+OK mail.test ready\r\n+OK\r\nSTLS\r\nRESP-CODES\r\n.\r\n+OK begin TLS now\r\n',
  },
  {
    protocol: 'xmpp',
    parts: [`${stream}\n`, starttls],
    reply: `${features}<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`,
  },
  {
    protocol: 'xmpp',
    parts: [stream, starttls.replace('/>', ' >'), '</starttls>'],
    reply: `${features}<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`,
  },
  { protocol: 'postgres', parts: [ssl], reply: 'S' },
  { protocol: 'postgres', parts: [gss, ssl], reply: 'NS' },
]

describe('a client that asks for TLS', () => {
  for (const { protocol, parts, reply } of starts) {
    const name = `${protocol} ${JSON.stringify(parts.at(-1))}`
    it(`may begin its handshake, sent in turns or byte by byte: ${name}`, () => {
      for (const chunks of [parts, [...parts.join('')]])
        assert.deepEqual(talk(protocol, ...chunks), { reply, next: 'tls', refused: null })
    })

    it(`is refused with anything pipelined behind that: ${name}`, () => {
      for (const early of ['\x16\x03\x01', 'EHLO evil\r\n', ' ', '\0'])
        for (const chunks of [[...parts.slice(0, -1), parts.at(-1) + early], [parts.join('') + early]]) {
          const { next, refused, reply: said } = talk(protocol, ...chunks)
          assert.equal(next, 'close')
          assert.equal(refused?.code, 'STARTTLS_PIPELINED', String(refused?.why))
          assert.ok(
            !said.includes('Ready') && !said.includes('TLS now') && !said.includes('proceed') && said !== 'S',
          )
        }
    })
  }

  it('of PostgreSQL may not send SSLRequest together with GSSENCRequest', () => {
    assert.equal(talk('postgres', gss + ssl).refused?.code, 'STARTTLS_PIPELINED')
  })
})

const refusals: readonly (readonly [ListenerProtocol | 'postgres', string, string, RegExp])[] = [
  ['smtp', 'GET / HTTP/1.1\r\n', 'STARTTLS_MALFORMED', /HTTP request/],
  ['smtp', `EHLO ${'x'.repeat(1_000)}`, 'STARTTLS_MALFORMED', /line of more than 1000 bytes/],
  ['smtp', 'NOOP\r\n'.repeat(33), 'STARTTLS_MALFORMED', /more than 32 commands/],
  ['smtp', 'EHLO a\0b\r\n', 'STARTTLS_MALFORMED', /control byte/],
  ['imap', 'a LOGIN {5}\r\n', 'STARTTLS_MALFORMED', /literal/],
  ['imap', 'POST / HTTP/1.1\r\n', 'STARTTLS_MALFORMED', /HTTP request/],
  ['pop3', 'x'.repeat(2_000), 'STARTTLS_MALFORMED', /line of more than 1000 bytes/],
  ['xmpp', 'hello', 'STARTTLS_MALFORMED', /text between/],
  ['xmpp', '<!DOCTYPE x>', 'STARTTLS_MALFORMED', /no <stream:stream>/],
  ['xmpp', `${stream}<!-- x -->`, 'STARTTLS_REQUIRED', /other than <starttls/],
  ['xmpp', `${stream}<auth/>`, 'STARTTLS_REQUIRED', /other than <starttls/],
  ['xmpp', `${stream}<starttls/>`, 'STARTTLS_REQUIRED', /other than <starttls/],
  ['xmpp', `<stream:stream to='${'x'.repeat(2_000)}`, 'STARTTLS_MALFORMED', /a tag of more than 2000 bytes/],
  ['xmpp', ' '.repeat(8_001), 'STARTTLS_MALFORMED', /more than 8000 bytes/],
  ['xmpp', '<stream:stream <x>', 'STARTTLS_MALFORMED', /tag within a tag/],
  ['postgres', startup, 'STARTTLS_REQUIRED', /begins without TLS/],
  ['postgres', cancel, 'STARTTLS_REQUIRED', /CancelRequest without TLS/],
  ['postgres', packet(80877103, 'x'), 'STARTTLS_MALFORMED', /no PostgreSQL packet/],
]

describe('a client that does something else', () => {
  for (const [protocol, text, code, why] of refusals)
    it(`is refused: ${protocol} ${JSON.stringify(text.slice(0, 40))}`, () => {
      const { next, refused } = talk(protocol, text)
      assert.equal(next, 'close')
      assert.equal(refused?.code, code)
      assert.match(String(refused?.why), why)
    })

  it('is told in the words of PostgreSQL that TLS is required, once its packet is complete', () => {
    assert.equal(talk('postgres', startup.slice(0, -1)).next, 'more')
    for (const chunks of [[startup], [...startup]]) {
      const { reply } = talk('postgres', ...chunks)
      assert.equal(reply[0], 'E')
      assert.equal(Buffer.from(reply, 'latin1').readUInt32BE(1), reply.length - 1)
      assert.match(reply, /SFATAL\0VFATAL\0C28000\0Mconnections without TLS are refused.*\0\0$/s)
    }
    assert.equal(talk('postgres', cancel).reply, '')
  })

  it('gets no mail through and no password accepted, and is logged if it leaves then', () => {
    for (const [protocol, text, answer, needed] of [
      ['smtp', 'MAIL FROM:<a@b>\r\n', /\r\n530 5\.7\.0 /, /MAIL/],
      ['smtp', 'AUTH PLAIN c2VjcmV0\r\n', /\r\n530 5\.7\.0 /, /AUTH in cleartext/],
      ['imap', 'a LOGIN me secret\r\n', /\r\na NO \[PRIVACYREQUIRED\]/, /LOGIN/],
      ['pop3', 'PASS secret\r\n', /\r\n-ERR /, /PASS/],
      ['pop3', 'secret\r\n', /\r\n-ERR /, /a command/],
    ] as const) {
      const dialog = open(protocol)
      assert.match(dialog.greeting + dialog.push(Buffer.from(text)).reply, answer)
      const refused = dialog.ended()
      assert.equal(refused?.code, 'STARTTLS_REQUIRED')
      assert.match(refused.why, needed)
      assert.ok(!refused.why.includes('secret'))
    }
  })

  it('may say goodbye, and say it after nothing else', () => {
    assert.deepEqual(talk('smtp', 'QUIT\r\n').refused, null)
    assert.match(talk('imap', 'a LOGOUT\r\n').reply, /\* BYE .*\r\na OK/)
    assert.equal(talk('pop3', 'QUIT\r\n').next, 'close')
    assert.equal(talk('xmpp', `${stream}</stream:stream>`).next, 'close')
    assert.equal(talk('smtp', 'DATA\r\n', 'QUIT\r\n').refused?.code, 'STARTTLS_REQUIRED')
  })

  it('may not use STARTTLS before EHLO, nor with parameters', () => {
    assert.match(talk('smtp', 'STARTTLS\r\n').reply, /503 5\.5\.1/)
    assert.match(talk('smtp', 'HELO a\r\n', 'STARTTLS\r\n').reply, /503 5\.5\.1/)
    assert.match(talk('smtp', 'EHLO a\r\n', 'STARTTLS now\r\n').reply, /501 5\.5\.4/)
  })

  it('has nothing of its own repeated to it but a tag and a plain name', () => {
    assert.match(talk('xmpp', stream.replace('chat.test', '&lt;x&gt;')).reply, /from='mail\.test'/)
    assert.match(talk('imap', '(x) NOOP\r\n').reply, /\* BAD/)
  })

  it('at random is answered within bounds, and gets to TLS only by asking for it', () => {
    let seed = 20_260_713
    const byte = () => ((seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff) >> 16) & 255
    const random = (length: number) => Uint8Array.from({ length }, byte)
    const words = [
      'EHLO a\r\n',
      'a STARTTLS',
      'STLS',
      '\r\n',
      stream,
      '<',
      '>',
      "'",
      '</',
      ssl,
      gss,
      '\0',
      ' ',
      'GET ',
    ]
    for (const protocol of ['smtp', 'imap', 'pop3', 'xmpp', 'postgres'] as const)
      for (let round = 0; round < 400; round++) {
        const dialog = open(protocol)
        let written = 0
        for (let step = 0; step < 60; step++) {
          const [kind, length] = random(2)
          const chunk =
            (kind as number) < 128
              ? Buffer.from(words[(length as number) % words.length] as string, 'latin1')
              : Buffer.from(random(1 + ((length as number) % 40)))
          const { next, reply } = dialog.push(chunk)
          written += reply.length
          if (next !== 'more') break
        }
        assert.ok(written < 12_000, `${written} bytes for ${protocol}`)
        dialog.release()
      }
  })
})

describe('the greeting of a mail server', () => {
  const kind = (protocol: 'smtp' | 'imap' | 'pop3', text: string) => readGreeting(protocol, Buffer.from(text)).kind

  it('is complete with its last line, and only an inviting one is', () => {
    for (const [protocol, text, expected] of [
      ['smtp', '220 hi\r\n', 'ready'],
      ['smtp', '220-one\r\n220-two\r\n220 three\r\n', 'ready'],
      ['smtp', '220\n', 'ready'],
      ['smtp', '554 5.7.1 no\r\n', 'refused'],
      ['smtp', '421-busy\r\n421 later\r\n', 'refused'],
      ['smtp', '250 hi\r\n', 'malformed'],
      ['smtp', 'SSH-2.0-x\r\n', 'malformed'],
      ['imap', '* OK ready\r\n', 'ready'],
      ['imap', '* BYE no\r\n', 'refused'],
      ['imap', '* PREAUTH welcome\r\n', 'malformed'],
      ['pop3', '+OK\r\n', 'ready'],
      ['pop3', '-ERR busy\r\n', 'refused'],
      ['pop3', '+OKAY\r\n', 'malformed'],
    ] as const) {
      assert.equal(kind(protocol, text), expected, text)
      for (let at = 0; at < text.length; at++) assert.equal(kind(protocol, text.slice(0, at)), 'incomplete', text)
    }
  })

  it('ends with its line: what comes with it would be read as an answer', () => {
    assert.equal(kind('smtp', '220 hi\r\n250 ok\r\n'), 'malformed')
    assert.equal(kind('imap', '* OK hi\r\na OK done\r\n'), 'malformed')
  })

  it('is bounded in bytes and lines', () => {
    assert.equal(kind('smtp', 'x'.repeat(4_097)), 'malformed')
    assert.equal(kind('smtp', '220-x\r\n'.repeat(33)), 'malformed')
  })
})
