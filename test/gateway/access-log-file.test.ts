/**
 * The access log in a file: its formats, opened again on request by every process, rotated by size, with whole lines of several
 * workers, and with lines dropped and counted, and requests served, where it cannot be written.
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import type { ConfigInput } from '../../src/config/config.ts'
import { askGateway } from '../../src/control/client.ts'
import { log as logCommand } from '../../src/control/commands/log.ts'
import { LogFile } from '../../src/observe/access/log-file.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { cleartextListener, localhostWith, startGateway } from '../harness/gateway.ts'
import { type GatewayProcess, spawnGateway } from '../harness/gateway-process.ts'
import { freePort } from '../harness/ports.ts'
import { rawTcp } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

const sites = localhostWith(
  { match: { path: '/quiet/*' }, accessLog: false, respond: { body: 'here' } },
  { respond: { body: 'here' } },
)

/** So many requests over one connection, all answered. */
async function ask(port: number, count: number, target = '/', fields = ''): Promise<void> {
  const client = await rawTcp(port)
  const request = `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`
  for (let asked = 0; asked < count; asked += 50) {
    client.send(request.repeat(Math.min(50, count - asked)))
    await client.until(text => text.split('here').length > Math.min(asked + 50, count))
  }
  client.destroy()
}

const linesOf = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []

const hasLines = (file: string, count: number) =>
  eventually(
    () => `${count} lines in ${file}, and not ${linesOf(file).length}`,
    () => linesOf(file).length >= count,
  )

const newFile = () => path.join(temporaryFolder('sallyport-access-'), 'access.log')

type Access = NonNullable<ConfigInput['log']>['access']

async function start(access: Access) {
  const config = { state: temporaryFolder('sallyport-state-'), listen: cleartextListener, sites }
  const started = await startGateway({ ...config, log: { access } })
  const reload = (next: Access) => started.gateway.reload({ ...config, log: { access: next } })
  return { ...started, reload }
}

describe('the access log in a file', () => {
  it('has combined lines, which the gateway has not given away or let be forged', async () => {
    const file = newFile()
    const { port, stop } = await start({ format: 'combined', file })
    await ask(
      port,
      1,
      '/a%20b?q=1&api_key=s3cret',
      'User-Agent: "x" \x9b\xe2\x80\xae\r\nReferer: http://b.test/?code=1\r\n',
    )
    await hasLines(file, 1)
    await stop()
    const [line, ...more] = linesOf(file)
    assert.deepEqual(more, [])
    assert.match(
      String(line),
      /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/a%20b\?q=1&api_key=\*\*\* HTTP\/1\.1" 200 4 "http:\/\/b\.test\/\?code=\*\*\*" "\\x22x\\x22 \\x9B\\xE2\\x80\\xAE"$/,
    )
    assert.equal(statSync(file).mode & 0o777, 0o640 & ~process.umask())
  })

  it('has JSON with added fields, and refused requests, and no lines where a route wants none', async () => {
    const file = newFile()
    const { port, stop, logs } = await start({ file, fields: ['userAgent', 'forwardedPath'] })
    await ask(port, 1, '/quiet/a', 'User-Agent: curl\r\n')
    await ask(port, 1, '/b', 'User-Agent: curl\r\n')
    const bad = await rawTcp(port)
    bad.send('nonsense\r\n\r\n')
    await bad.closed()
    await hasLines(file, 2)
    await stop()
    const records = linesOf(file).map(line => JSON.parse(line))
    assert.deepEqual(
      records.map(({ message, path: of, userAgent, status }) => [message, of, userAgent, status]),
      [
        ['request', '/b', 'curl', 200],
        ['request', undefined, undefined, 400],
      ],
    )
    assert.match(records[0].time, /^\d{4}-\d\d-\d\dT/)
    assert.ok(!logs().some(({ message }) => message === 'request'), 'they are not on standard output as well')
  })

  it('is opened again by its name', async () => {
    const file = newFile()
    const { gateway, port, stop } = await start({ format: 'common', file })
    await ask(port, 3)
    await hasLines(file, 3)
    renameSync(file, `${file}.old`)
    await ask(port, 2)
    await hasLines(`${file}.old`, 5)
    assert.equal(gateway.reopenLogs(), null)
    await ask(port, 4)
    await hasLines(file, 4)
    assert.equal(linesOf(`${file}.old`).length, 5)
    await stop()
  })

  it('loses no line to a reopening in the middle of a write', async () => {
    const file = newFile()
    const { gateway, port, stop } = await start({ format: 'common', file })
    const asking = ask(port, 2_000)
    let renamed = 0
    await eventually('20 files', () => {
      if (existsSync(file)) renameSync(file, `${file}.${renamed++}`)
      assert.equal(gateway.reopenLogs(), null)
      return renamed >= 20
    })
    await asking
    await stop()
    const folder = path.dirname(file)
    const lines = readdirSync(folder).flatMap(name => linesOf(path.join(folder, name)))
    assert.equal(lines.length, 2_000)
    for (const line of lines) assert.match(line, /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/ HTTP\/1\.1" 200 4$/)
  })

  it('stays where it was when it cannot be opened again, and that is said', async () => {
    const file = newFile()
    const { gateway, port, logged, stop } = await start({ format: 'common', file })
    await ask(port, 1)
    await hasLines(file, 1)
    renameSync(file, `${file}.old`)
    mkdirSync(file)
    assert.match(String(gateway.reopenLogs()), /cannot open .*access\.log for writing: .*EISDIR/)
    await logged(
      ({ message, why }) =>
        message === 'access log not reopened; the file before stays in use' && /EISDIR/.test(String(why)),
    )
    await ask(port, 1)
    await hasLines(`${file}.old`, 2)
    await stop()
  })

  it('moves with a reload; one that cannot be opened fails and changes nothing', async () => {
    const [first, second] = [newFile(), newFile()]
    const { gateway, port, reload, logged, stop } = await start({ format: 'common', file: first })
    await ask(port, 1)
    await assert.rejects(
      reload({ format: 'common', file: path.join(first, 'below', 'x') }),
      /log\.access\.file: cannot open .*ENOTDIR/,
    )
    await ask(port, 1)
    await hasLines(first, 2)
    await reload({ format: 'common', file: second })
    await ask(port, 3)
    await hasLines(second, 3)
    await reload(true)
    await ask(port, 1, '/on-standard-output')
    await logged(({ message, path: of }) => message === 'request' && of === '/on-standard-output')
    await reload(false)
    await ask(port, 1)
    await gateway.drain(0)
    assert.deepEqual([linesOf(first).length, linesOf(second).length], [2, 3])
    await stop()
  })

  it('is a regular file, or is refused', async () => {
    await assert.rejects(
      start({ file: '/dev/null' }),
      /not a regular file; leave file out to log to standard output/,
    )
  })

  it('is rotated by size, and as many files are kept', async () => {
    const file = newFile()
    const { port, stop } = await start({ format: 'common', file, rotate: { size: '4kb', keep: 2 } })
    await eventually('two rotated files, of which the first was overwritten', async () => {
      await ask(port, 100)
      return existsSync(`${file}.2`) && existsSync(`${file}.1`)
    })
    const before = statSync(`${file}.2`).ino
    await eventually('another rotation', async () => {
      await ask(port, 100)
      return statSync(`${file}.2`).ino !== before
    })
    await stop()
    assert.ok(!existsSync(`${file}.3`))
  })
})

describe('a file that cannot be written', () => {
  function open(file: string, more: { rotate?: { bytes: number; keep: number } } = {}) {
    const told: string[] = []
    const recovered: number[] = []
    const log = new LogFile(file, {
      rotate: null,
      rotates: true,
      onFailed: why => told.push(`not written: ${why}`),
      onNotRotated: why => told.push(`not rotated: ${why}`),
      onRecovered: dropped => recovered.push(dropped),
      ...more,
    })
    return { log, told, recovered }
  }

  it('costs lines, which are counted and reported once it can be written again', async () => {
    const file = newFile()
    const { log, told, recovered } = open(file)
    // The bound of what is held: nothing is written in this turn.
    for (let at = 0; at < 6_000; at++) log.write(`${'x'.repeat(999)}\n`)
    assert.ok(log.dropped > 1_000 && log.dropped < 2_000, `${log.dropped}`)
    const { dropped } = log
    await eventually('a report', () => recovered.length > 0)
    assert.deepEqual(recovered, [dropped])
    await log.close(10_000)
    assert.equal(linesOf(file).length, 6_000 - dropped)
    log.write('late\n')
    assert.equal(log.dropped, dropped + 1)
    assert.deepEqual(told, [])
  })

  it('has the last line too where that was due while another write was under way', async () => {
    const file = newFile()
    const { log } = open(file)
    log.write(`${'x'.repeat(100_000)}\n`)
    log.write('last\n')
    // Until its time is over, before anybody is told of the write.
    const until = performance.now() + 300
    while (performance.now() < until);
    await eventually('the last line', () => linesOf(file).at(-1) === 'last')
    await log.close(10_000)
  })

  it('is left alone after its close took too long', async () => {
    const file = newFile()
    const { log } = open(file, { rotate: { bytes: 1, keep: 1 } })
    log.write(`${'x'.repeat(100_000)}\n`)
    log.write('last\n')
    const closed = log.close(0)
    const until = performance.now() + 50
    while (performance.now() < until);
    await closed
    // It may have been in time after all.
    await eventually('both lines, written or counted', () => {
      return log.dropped + linesOf(file).length + linesOf(`${file}.1`).length === 2
    })
  })

  it('cannot be rotated: that is said once, and nothing is lost', async () => {
    const file = newFile()
    const { log, told, recovered } = open(file, { rotate: { bytes: 1, keep: 1 } })
    mkdirSync(`${file}.1`)
    let written = 0
    const writing = async (until: () => boolean) =>
      await eventually('rotation', () => {
        log.write(`${written++}\n`)
        return until()
      })
    await writing(() => told.length > 0)
    rmSync(`${file}.1`, { recursive: true })
    await writing(() => existsSync(`${file}.1`))
    await log.close(10_000)
    assert.equal(told.length, 1)
    assert.match(told.join(), /^not rotated: EISDIR/)
    assert.deepEqual([...linesOf(`${file}.1`), ...linesOf(file)].length, written)
    assert.deepEqual([recovered, log.dropped], [[], 0])
  })

  it('does not stop a gateway whose disk is full', async () => {
    const folder = temporaryFolder('sallyport-access-full-')
    const port = await freePort()
    const file = path.join(folder, 'access.log')
    // No file may have more than 64 kB.
    const gateway = spawnGateway(
      {
        state: folder,
        listen: [{ port, address: '127.0.0.1', cleartext: 'serve' }],
        sites,
        log: { access: { format: 'common', file } },
      },
      { blocks: 128 },
    )
    await gateway.ready
    await eventually('a failure in the log', async () => {
      await ask(port, 200)
      return gateway.logs().some(({ message }) => message === 'access log cannot be written; records are dropped')
    })
    await ask(port, 50)
    const whole = linesOf(file)
    assert.ok(whole.length > 500)
    // There is room again: what comes next stands on lines of its own.
    renameSync(file, `${file}.old`)
    assert.deepEqual(await askGateway(folder, logCommand, { action: 'reopen' }), { processes: 1 })
    await ask(port, 10)
    await gateway.logged(({ message, dropped }) => message === 'access log records dropped' && Number(dropped) > 0)
    await gateway.stop()
    for (const line of [...whole, ...linesOf(file)])
      assert.match(line, /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/ HTTP\/1\.1" 200 4$/)
  })
})

it('a process that does not rotate follows the one that does', async () => {
  const file = newFile()
  const terms = {
    rotate: { bytes: 4_096, keep: 3 },
    onFailed: assert.fail,
    onNotRotated: assert.fail,
    onRecovered: () => {},
  }
  const first = new LogFile(file, { ...terms, rotates: true })
  const second = new LogFile(file, { ...terms, rotates: false })
  let lines = 0
  await eventually('lines of both in the file after a rotation', () => {
    first.write(`first ${lines} ${'x'.repeat(100)}\n`)
    second.write(`second ${lines++} ${'x'.repeat(100)}\n`)
    const both = linesOf(file).map(line => line.split(' ')[0])
    return existsSync(`${file}.1`) && both.includes('first') && both.includes('second')
  })
  await Promise.all([first.close(10_000), second.close(10_000)])
  const folder = path.dirname(file)
  const all = readdirSync(folder).flatMap(name => linesOf(path.join(folder, name)))
  // Nothing is lost, unless more files were full than are kept.
  if (!existsSync(`${file}.3`)) assert.equal(all.length, 2 * lines)
  for (const line of all) assert.match(line, /^(first|second) \d+ x{100}$/)
})

describe('several workers', () => {
  const startWorkers = async (): Promise<{
    gateway: GatewayProcess
    port: number
    file: string
    folder: string
  }> => {
    const folder = temporaryFolder('sallyport-access-workers-')
    const [port, file] = [await freePort(), path.join(folder, 'access.log')]
    const gateway = spawnGateway(
      {
        state: folder,
        listen: [{ port, address: '127.0.0.1', cleartext: 'serve' }],
        sites,
        log: { access: { format: 'common', file } },
      },
      { workers: 2 },
    )
    await gateway.ready
    return { gateway, port, file, folder }
  }

  it('append whole lines to one file, and all open it again: by command, by SIGUSR1, and by SIGHUP even if the configuration is wrong', async () => {
    const { gateway, port, file, folder } = await startWorkers()
    let renamed = 0
    let requests = 0
    const askAll = async () => {
      await Promise.all(Array.from({ length: 8 }, () => ask(port, 100)))
      requests += 800
    }
    const total = () =>
      Array.from({ length: renamed }, (_, at) => linesOf(`${file}.${at}`).length).reduce((sum, n) => sum + n, 0)
    const rename = () => renameSync(file, `${file}.${renamed++}`)
    await askAll()
    await hasLines(file, requests)
    rename()
    assert.deepEqual(await askGateway(folder, logCommand, { action: 'reopen' }), { processes: 2 })
    await askAll()
    await hasLines(file, requests - total())
    rename()
    gateway.child.kill('SIGUSR1')
    await eventually('a new file after SIGUSR1', () => existsSync(file))
    await askAll()
    await eventually('all lines', () => total() + linesOf(file).length === requests)
    const good = readFileSync(gateway.file, 'utf8')
    writeFileSync(gateway.file, 'listen: nonsense')
    rename()
    gateway.child.kill('SIGHUP')
    await gateway.logged(({ message }) => message === 'reload failed; the current configuration stays in use')
    await eventually('a new file after SIGHUP', () => existsSync(file))
    await askAll()
    await eventually('all lines', () => total() + linesOf(file).length === requests)
    writeFileSync(gateway.file, good)
    await gateway.stop()
    for (let at = 0; at < renamed; at++)
      for (const line of linesOf(`${file}.${at}`))
        assert.match(line, /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/ HTTP\/1\.1" 200 4$/)
  })

  it('say so when one of them cannot open the file again', async () => {
    const { gateway, file, folder } = await startWorkers()
    rmSync(file)
    mkdirSync(file)
    await assert.rejects(
      askGateway(folder, logCommand, { action: 'reopen' }),
      /process \d+: .*cannot open .*EISDIR/,
    )
    chmodSync(file, 0o755)
    await gateway.stop()
  })
})
