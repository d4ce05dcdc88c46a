/** `files`: large ones go through in pieces, as their client takes them; one that changes meanwhile is cut off, and all are closed. */
import assert from 'node:assert/strict'
import fs, {
  closeSync,
  ftruncateSync,
  openSync,
  renameSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ask, versions } from '../harness/ask.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { longAgo, openBelow } from '../harness/file-tree.ts'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import { END_STREAM, type Frame, get, h2Client, type } from '../harness/h2.ts'
import { rawTls } from '../harness/raw.ts'
import { until } from '../harness/until.ts'

const root = temporaryFolder('sallyport-large-')
const named = (name: string) => path.join(root, name)
const tenGigabytes = 10 * 1024 ** 3
const megabytes = (count: number) => count * 1024 * 1024

let gateway: Started

/** A file of this size of which the disk has nothing but its last bytes. */
function sparse(name: string, size: number, end = ''): string {
  const fd = openSync(named(name), 'w')
  ftruncateSync(fd, size)
  if (end !== '') writeSync(fd, end, size - end.length)
  closeSync(fd)
  utimesSync(named(name), longAgo, longAgo)
  return `/${name}`
}

const closed = () => until(() => openBelow(root) === 0)

before(async () => {
  sparse('ten.bin', tenGigabytes, 'the end')
  gateway = await startGateway({
    sites: localhostWith(
      { match: { path: '/hangs.bin' }, timeouts: { response: '1s' }, files: { root } },
      { files: { root } },
    ),
  })
})

after(() => gateway.stop())

/** A client that has got the head and something of the body, and reads no more until it is told to. */
async function stalled(version: string, target: string) {
  if (version === 'HTTP/2') {
    // Its windows are never opened further.
    const client = await h2Client(gateway.port, { polite: false })
    const stream = client.request(get(target))
    await client.until(() => client.message(stream).body.length > 0)
    return {
      goOn: () => {
        client.frame(type.window, 0, 0, Buffer.of(0x7f, 0xf0, 0, 0))
        client.frame(type.window, 0, stream, Buffer.of(0x7f, 0xf0, 0, 0))
      },
      async ended() {
        const isEnd = (frame: Frame | undefined) =>
          frame?.stream === stream && (frame.type === type.rst || (frame.flags & END_STREAM) !== 0)
        await client.until(() => isEnd(client.frames.at(-1)) || client.frames.some(isEnd))
        const frames = client.frames.filter(frame => frame.stream === stream && frame.type === type.data)
        const bytes = frames.reduce((sum, { payload }) => sum + payload.length, 0)
        return { whole: isEnd(frames.at(-1)), bytes }
      },
      leave: () => client.destroy(),
    }
  }
  const client = await rawTls(gateway.port)
  client.send(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  await client.until(text => text.includes('\r\n\r\n'))
  client.socket.pause()
  const headBytes = client.received().indexOf('\r\n\r\n') + 4
  const length = Number(/content-length: (\d+)/.exec(client.received())?.[1])
  return {
    goOn: () => void client.socket.resume(),
    async ended() {
      await client.until(text => text.length >= headBytes + length).catch(() => {})
      const bytes = client.received().length - headBytes
      return { whole: bytes === length, bytes }
    },
    leave: () => client.destroy(),
  }
}

for (const version of versions) {
  describe(version, () => {
    it('any part of ten gigabytes', async () => {
      const head = await ask(version, gateway.port, { path: '/ten.bin', method: 'HEAD' })
      assert.equal(head.field('content-length'), `${tenGigabytes}`)
      const end = await ask(version, gateway.port, { path: '/ten.bin', fields: [['range', 'bytes=-7']] })
      assert.deepEqual([end.status, end.body], [206, 'the end'])
      assert.equal(end.field('content-range'), `bytes ${tenGigabytes - 7}-${tenGigabytes - 1}/${tenGigabytes}`)
      await closed()
    })

    it('clients that read nothing cost a piece each, and leave nothing open', async () => {
      const before = process.memoryUsage().rss
      const clients = await Promise.all(Array.from({ length: 30 }, () => stalled(version, '/ten.bin')))
      assert.equal(openBelow(root), 30)
      const grown = process.memoryUsage().rss - before
      assert.ok(grown < megabytes(250), `${grown} bytes`)
      for (const client of clients) client.leave()
      await closed()
    })

    it('clients that leave while files are being opened leave nothing open', async () => {
      for (let times = 0; times < 20; times++) {
        if (version === 'HTTP/2') {
          const client = await h2Client(gateway.port)
          for (let count = 0; count < 50; count++) client.request(get('/ten.bin'))
          client.destroy()
        } else {
          const clients = await Promise.all(Array.from({ length: 10 }, () => rawTls(gateway.port)))
          for (const client of clients) client.send('GET /ten.bin HTTP/1.1\r\nHost: localhost\r\n\r\n')
          await new Promise(resolve => setImmediate(resolve))
          for (const client of clients) client.destroy()
        }
      }
      await until(() => gateway.gateway.connections === 0)
      await closed()
    })

    it('what is truncated while it is sent is cut off', async () => {
      const target = sparse(`truncated-${version.at(-1)}.bin`, megabytes(40))
      const client = await stalled(version, target)
      truncateSync(named(target.slice(1)), megabytes(30))
      client.goOn()
      const { whole } = await client.ended()
      assert.equal(whole, false)
      const record = await gateway.logged(({ path, error }) => path === target && error !== undefined)
      assert.equal(record['error'], 'FILE_CHANGED')
      client.leave()
      await closed()
    })

    it('what is written to while it is sent is cut off', async () => {
      const target = sparse(`written-${version.at(-1)}.bin`, megabytes(40))
      const client = await stalled(version, target)
      const fd = openSync(named(target.slice(1)), 'r+')
      writeSync(fd, 'changed', megabytes(39))
      closeSync(fd)
      client.goOn()
      assert.equal((await client.ended()).whole, false)
      assert.equal((await gateway.logged(({ path }) => path === target))['error'], 'FILE_CHANGED')
      client.leave()
      await closed()
    })

    it('what is replaced by another file goes on as it was', async () => {
      const target = sparse(`replaced-${version.at(-1)}.bin`, megabytes(20))
      const client = await stalled(version, target)
      writeFileSync(named('new.bin'), 'another')
      renameSync(named('new.bin'), named(target.slice(1)))
      client.goOn()
      assert.deepEqual(await client.ended(), { whole: true, bytes: megabytes(20) })
      assert.equal((await ask(version, gateway.port, { path: target })).body, 'another')
      client.leave()
      await closed()
    })

    it('a file system that does not answer is waited for as long as a backend', async () => {
      const { open } = fs
      let answerLate = () => {}
      fs.open = ((name: string, ...rest: [number, () => void]) => {
        const really = () => void (open as (...args: unknown[]) => void)(name, ...rest)
        if (name.endsWith('hangs.bin')) answerLate = really
        else really()
      }) as typeof fs.open
      try {
        const target = sparse('hangs.bin', megabytes(1))
        assert.equal((await ask(version, gateway.port, { path: target })).status, 504)
        const record = await gateway.logged(({ path, status }) => path === target && status === 504)
        assert.match(String(record['why']), /the file system sent no response head within timeouts\.response/)
      } finally {
        fs.open = open
        answerLate()
      }
      await closed()
    })

    it('what is answered without its content is closed', async () => {
      const head = await ask(version, gateway.port, { path: '/ten.bin', method: 'HEAD' })
      const fields: [string, string][] = [['if-none-match', head.field('etag') ?? '']]
      assert.equal((await ask(version, gateway.port, { path: '/ten.bin', fields })).status, 304)
      assert.equal(
        (await ask(version, gateway.port, { path: '/ten.bin', fields: [['range', 'bytes=99999999999-']] })).status,
        416,
      )
      await closed()
    })
  })
}
