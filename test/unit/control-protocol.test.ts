/** The control socket and who asks it: hostile input, other versions, sockets of the dead, and more than one gateway. */
import assert from 'node:assert/strict'
import { existsSync, linkSync, mkdirSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import { ownVersion } from '../../src/base/version.ts'
import { askGateway, NoGatewayError } from '../../src/control/client.ts'
import { type AnyCommand, type Command, CommandError, onlyAnswer, type Running } from '../../src/control/command.ts'
import { allCommands } from '../../src/control/commands/all.ts'
import { ping } from '../../src/control/commands/ping.ts'
import { controlFolder } from '../../src/control/folder.ts'
import { answerCommand } from '../../src/control/http-commands.ts'
import { fields, nothing, oneOf, optional, text, whole } from '../../src/control/input.ts'
import { protocol } from '../../src/control/protocol.ts'
import { openControl } from '../../src/control/socket.ts'
import { temporaryFolder } from '../harness/certificates.ts'

const running = { gateway: { draining: false }, gatewayPid: process.pid } as Running
const closers: (() => void)[] = []
after(() => {
  for (const close of closers) close()
})

/** Says what it was given. */
const echo: Command<{ readonly word: string }, string, readonly string[]> = {
  name: 'echo',
  role: 'view',
  asks: 'every',
  input: fields({ word: text(20) }),
  run: (_running, { word }) => word,
  merge: replies => replies.map(({ ok, error }) => ok ?? `error: ${error}`),
}

/** Who was asked. */
const who: Command<null, number, number> = {
  name: 'who',
  role: 'operate',
  asks: 'one',
  input: nothing,
  run: ({ gatewayPid }) => gatewayPid,
  merge: onlyAnswer,
}

const commands = [echo, who, ping] as readonly AnyCommand[]

async function opened(): Promise<{ state: string; file: string }> {
  const state = temporaryFolder('sallyport-control-')
  const close = await openControl(state, running, commands)
  closers.push(close)
  return { state, file: path.join(controlFolder(state), `${process.pid}.sock`) }
}

/** What a socket answers to these bytes, until it closes. */
function said(file: string, bytes: string | Buffer, end = false): Promise<string> {
  return new Promise(resolve => {
    let got = ''
    const socket = net.connect(file, () => (end ? socket.end(bytes) : socket.write(bytes)))
    socket.on('data', chunk => {
      got += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(got))
  })
}

/** A process of a gateway that answers everything with this. */
async function pretended(state: string, pid: number, reply: string): Promise<void> {
  const folder = controlFolder(state)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(reply))
  })
  await new Promise<void>(resolve => server.listen(path.join(folder, `${pid}.sock`), resolve))
  closers.push(() => server.close())
}

const answerOf = (gateway: number, ok: unknown, draining = false): string =>
  `${JSON.stringify({ protocol, version: ownVersion, gateway, draining, ok })}\n`

describe('a control socket', () => {
  it('answers hostile questions with a reason, or ends the connection', async () => {
    const { file, state } = await opened()
    const question = (more: object) =>
      `${JSON.stringify({ protocol, command: 'echo', input: { word: 'a' }, ...more })}\n`
    const cases: readonly [bytes: string | Buffer, answer: RegExp, end?: boolean][] = [
      [question({}), /"ok":"a"/],
      ['\n', /the process ended before it answered|not JSON/],
      ['GET / HTTP/1.1\r\n\r\n', /"error":"what came is not JSON"/],
      ['[]\n', /"error":"what came is no object"/],
      ['null\n', /"error":"what came is no object"/],
      [
        '{"ask":"status","of":""}\n',
        /"error":"the command speaks an older control protocol, and this gateway is sallyport /,
      ],
      [
        question({ protocol: 99, version: '9.9.9' }),
        /the command is sallyport 9\.9\.9 and speaks control protocol 99/,
      ],
      [question({ protocol: '2' }), /older control protocol/],
      [question({ protocol: 99, version: '\u001b[31m' }), /"error":"the command speaks control protocol 99/],
      [question({ command: 'toString' }), /no command 'toString'/],
      [question({ command: '__proto__' }), /no command '__proto__'/],
      [question({ command: 7 }), /a request must name its command/],
      [question({ input: null }), /the input of a command is an object/],
      [question({ input: [] }), /the input of a command is an object/],
      [question({ input: {} }), /word takes text/],
      [question({ input: { word: 'a', more: 1 } }), /no field 'more'; there are word/],
      [`{"protocol":${protocol},"command":"echo","input":{"word":"a","__proto__":{}}}\n`, /no field '__proto__'/],
      [question({ input: { word: 'a\nb' } }), /no control characters/],
      [question({ input: { word: 'a'.repeat(21) } }), /at most 20 characters, not 21/],
      // More than a question may have, with and without its end.
      ['x'.repeat(20_000), /^$/],
      [question({ input: { word: 'a'.repeat(10_000) } }), /^$|ended before it answered/],
      // A connection that is ended without a question.
      ['', /^$/, true],
      ['{"protocol"', /^$/, true],
      [Buffer.from([0xff, 0xfe, 0x0a]), /not JSON/],
    ]
    for (const [bytes, answer, end] of cases) {
      const got = await said(file, bytes, end)
      assert.match(got, answer, JSON.stringify(String(bytes).slice(0, 100)))
      assert.ok(!got.includes('\u001b'))
    }
    // It still answers, also a question that comes in the pieces of one character.
    assert.deepEqual(await askGateway(state, echo, { word: 'grüße' }), ['grüße'])
    const whole = Buffer.from(question({ input: { word: 'ü' } }))
    const got = await new Promise<string>(resolve => {
      const socket = net.connect(file, async () => {
        for (const byte of whole)
          await new Promise<void>(sent => socket.write(Buffer.from([byte]), () => setImmediate(sent)))
      })
      let text = ''
      socket.on('data', chunk => {
        text += chunk
      })
      socket.on('close', () => resolve(text))
    })
    assert.equal((JSON.parse(got) as { ok: string }).ok, 'ü')
  })

  it('has only commands whose names are their own, in the one list', () => {
    assert.equal(new Set(allCommands.map(({ name }) => name)).size, allCommands.length)
    for (const { name, verb, asks, role } of allCommands) {
      assert.ok(asks === 'one' || asks === 'every', name)
      assert.ok(role === 'view' || role === 'operate', name)
      if (verb) assert.ok(verb.usage.startsWith(name) && verb.summary !== '', name)
    }
  })
})

describe('whoever asks a gateway', () => {
  it('is told of another version, and of answers that are none', async () => {
    const cases: readonly [reply: string, why: RegExp][] = [
      [
        `{"error":"there is no 'undefined'"}\n`,
        /the gateway of process 4 speaks an older control protocol, and this command is/,
      ],
      [
        '{"protocol":3,"version":"9.9.9","ok":null}\n',
        /process 4 is sallyport 9\.9\.9 and speaks control protocol 3/,
      ],
      ['', /ended before it answered/],
      ['nonsense\n', /not JSON/],
      [`{"protocol":${protocol},"version":"1"}\n`, /an invalid response/],
    ]
    for (const [reply, why] of cases) {
      const state = temporaryFolder('sallyport-control-')
      await pretended(state, 4, reply)
      await assert.rejects(askGateway(state, who, null), error => {
        assert.ok(error instanceof NoGatewayError && error.exitCode === 1)
        assert.match(error.message, why)
        return true
      })
    }
  })

  it('hears of a worker of another version beside those that answer', async () => {
    const state = temporaryFolder('sallyport-control-')
    await pretended(state, 4, answerOf(1, 'yes'))
    await pretended(state, 5, '{"protocol":3,"version":"9.9.9","ok":"no"}\n')
    const [first, second] = await askGateway(state, echo, { word: 'a' })
    assert.equal(first, 'yes')
    assert.match(second ?? '', /^error: the gateway of process 5 is sallyport 9\.9\.9/)
  })

  it('removes the socket of a process that is gone', async () => {
    const { state, file } = await opened()
    const stale = path.join(path.dirname(file), '999999.sock')
    const server = net.createServer()
    const there = path.join(path.dirname(file), 'there')
    await new Promise<void>(resolve => server.listen(there, resolve))
    linkSync(there, stale)
    await new Promise<void>(resolve => server.close(() => resolve()))
    assert.ok(existsSync(stale))
    assert.equal(await askGateway(state, who, null), process.pid)
    assert.ok(!existsSync(stale))
  })

  it('says which gateway, where two run with one state folder, and takes the one that does not drain', async () => {
    const state = temporaryFolder('sallyport-control-')
    await pretended(state, 11, answerOf(10, 10))
    await pretended(state, 12, answerOf(10, 10))
    await pretended(state, 21, answerOf(20, 20))
    await assert.rejects(askGateway(state, who, null), error => {
      assert.ok(error instanceof CommandError)
      assert.match(
        error.message,
        /^2 gateways run .* \(process 10, process 20\): say which one with --gateway PID$/,
      )
      return true
    })
    assert.equal(await askGateway(state, who, null, { gateway: 20 }), 20)
    assert.equal(await askGateway(state, who, null, { gateway: 10 }), 10)
    await assert.rejects(
      askGateway(state, who, null, { gateway: 30 }),
      /no gateway of process 30 .* process 10, process 20/,
    )
    // What every process is asked for, is asked of both.
    assert.equal((await askGateway(state, ping, null)) satisfies number, 3)

    const other = temporaryFolder('sallyport-control-')
    await pretended(other, 11, answerOf(10, 10, true))
    await pretended(other, 21, answerOf(20, 20))
    assert.equal(await askGateway(other, who, null), 20)
  })
})

describe('readers of input', () => {
  it('take what they say, and nothing else', () => {
    const read = fields({
      site: optional(text(9)),
      least: optional(whole(1, 5)),
      sort: optional(oneOf('age', 'bytes')),
    })
    assert.deepEqual(read({ site: 'a.test', least: '3', sort: 'age' }, 'input'), {
      site: 'a.test',
      least: 3,
      sort: 'age',
    })
    for (const wrong of [
      { least: 0 },
      { least: 6 },
      { least: '1.5' },
      { least: '' },
      { least: 1e300 },
      { sort: 'name' },
      { site: '' },
      { site: 1 },
    ])
      assert.throws(() => read(wrong, 'input'), /takes/, JSON.stringify(wrong))
    assert.equal(nothing(undefined, 'input'), null)
    assert.equal(nothing({}, 'input'), null)
    assert.throws(() => nothing({ a: 1 }, 'input'), /no field 'a'; it takes none/)
  })
})

describe('commands over the admin listener', () => {
  const ask = (target: string) => {
    const [at, query = ''] = target.split('?') as [string, string?]
    return answerCommand(at, query, running, async () => [])
  }
  it('are those that tell something, of this version, with checked fields', async () => {
    const pinged = await ask(`/control/v${protocol}/ping`)
    assert.deepEqual(pinged, { status: 200, body: 1 })
    const refused: readonly [target: string, status: number, why: RegExp][] = [
      ['/control/v1/ping', 404, /speaks version 2/],
      ['/control/', 404, /speaks version/],
      [`/control/v${protocol}/toString`, 404, /there are .*status/],
      [`/control/v${protocol}/ping/x`, 404, /no such command/],
      [`/control/v${protocol}/drain`, 403, /control socket alone \(sallyport drain\)/],
      [`/control/v${protocol}/reload`, 403, /changes the gateway/],
      [`/control/v${protocol}/ping?a=1`, 400, /no field 'a'/],
      [`/control/v${protocol}/chains`, 400, /is an object/],
      [`/control/v${protocol}/chains?host=a&host=b`, 400, /host is given twice/],
      [`/control/v${protocol}/chains?host=${'a'.repeat(300)}`, 400, /at most 253/],
    ]
    for (const [target, status, why] of refused) {
      const answer = await ask(target)
      assert.equal(answer.status, status, target)
      assert.match((answer.body as { error: string }).error, why, target)
    }
  })
})
