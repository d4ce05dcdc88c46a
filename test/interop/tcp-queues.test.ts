/** MQTT with mosquitto and Redis with redis-cli through a tcp site, and what openssl says of each STARTTLS. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { issueClientFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { freePort, listening } from '../harness/ports.ts'
import { type RecordingBackend, recordingBackend } from '../harness/raw.ts'
import { type Redis, startRedis } from '../harness/redis.ts'

const has = (command: string, flag: string) => spawnSync(command, [flag]).error === undefined
const missing = [
  ['mosquitto', '-h'],
  ['mosquitto_pub', '--help'],
  ['redis-server', '--version'],
  ['openssl', 'version'],
].filter(([command, flag]) => !has(command as string, flag as string))
const skip = missing.length > 0 ? `not installed: ${missing.map(([command]) => command).join(', ')}` : false

const address = '127.0.0.1'
const ca = testCa()
const device = issueClientFiles(ca, 'device-1')
let gateway: Started
let broker: ChildProcess
let redis: Redis
let echo: RecordingBackend

before(async () => {
  if (skip) return
  const port = await freePort()
  const file = path.join(temporaryFolder(), 'mosquitto.conf')
  writeFileSync(file, `listener ${port} ${address}\nallow_anonymous true\npersistence false\n`)
  broker = spawn('mosquitto', ['-c', file], { stdio: 'ignore' })
  redis = await startRedis()
  echo = await recordingBackend((client, received) => client.send(received.slice(-1)), { greeting: '220 hi\r\n' })
  await listening(port)
  const startTls = (['smtp', 'imap', 'pop3', 'xmpp'] as const).map(each => ({ port: 0, address, startTls: each }))
  const site = (host: string, to: number, more = {}) => ({
    host,
    certificate: 'local' as const,
    tcp: { to: [`${address}:${to}`], ...more },
  })
  gateway = await startGateway({
    listen: [{ port: 0, address }, ...startTls],
    sites: [
      { ...site('localhost', port, { alpn: ['mqtt'] }), clients: { ca: [ca.file] } },
      site('redis.test', redis.port),
      ...startTls.map(each => site(`${each.startTls}.test`, echo.port, { startTls: each.startTls })),
      site('postgres.test', echo.port, { startTls: 'postgres' }),
    ],
  })
})

after(async () => {
  if (skip) return
  await gateway.stop()
  await redis.remove()
  await echo.close()
  const gone = once(broker, 'exit')
  broker.kill()
  await gone
})

/** @returns what it printed, on whichever stream */
const run = (command: string, ...words: readonly string[]) =>
  new Promise<string>(resolve => {
    const child = execFile(command, words, { timeout: 60_000 }, (_error, out, complaint) =>
      resolve(out + complaint),
    )
    child.stdin?.end()
  })

/** mosquitto's clients send, and verify, the host that they connect to. */
const mqtt = (command: string, ...words: readonly string[]) =>
  run(command, '-h', 'localhost', '-p', String(gateway.port), '--cafile', gateway.caFile, ...words)

describe('MQTT', { skip }, () => {
  const shown = ['--cert', device.chainFile, '--key', device.keyFile]

  it('reaches the broker by a client with a certificate, and by no other', async () => {
    // The broker keeps the message for whoever subscribes later.
    const published = await mqtt(
      'mosquitto_pub',
      ...shown,
      '--tls-alpn',
      'mqtt',
      '-q',
      '1',
      '-r',
      '-t',
      'a/b',
      '-m',
      'hello',
    )
    assert.equal(published, '')
    assert.equal((await mqtt('mosquitto_sub', ...shown, '-C', '1', '-t', 'a/#')).trim(), 'hello')
    assert.match(await mqtt('mosquitto_pub', '-t', 'a/b', '-m', 'no'), /rror|lost/)
  })
})

describe('Redis', { skip }, () => {
  it('is spoken to over TLS by redis-cli', async () => {
    const cli = (...words: readonly string[]) =>
      run(
        'redis-cli',
        '-h',
        address,
        '-p',
        String(gateway.port),
        '--tls',
        '--sni',
        'redis.test',
        '--cacert',
        gateway.caFile,
        ...words,
      )
    assert.equal((await cli('set', 'a', 'x'.repeat(50_000))).trim(), 'OK')
    assert.equal((await cli('strlen', 'a')).trim(), '50000')
  })
})

describe('openssl s_client', { skip }, () => {
  for (const [protocol, listener] of [
    ['postgres', 0],
    ['smtp', 1],
    ['imap', 2],
    ['pop3', 3],
    ['xmpp', 4],
  ] as const)
    it(`changes to TLS with -starttls ${protocol}`, async () => {
      const host = `${protocol}.test`
      const words = [
        '-connect',
        `${address}:${gateway.ports[listener]}`,
        '-servername',
        host,
        '-CAfile',
        gateway.caFile,
      ]
      const more = protocol === 'xmpp' ? ['-xmpphost', host] : []
      const said = await run(
        'openssl',
        's_client',
        '-starttls',
        protocol,
        ...words,
        ...more,
        '-verify_return_error',
        '-verify_hostname',
        host,
      )
      assert.match(said, /Verify return code: 0 \(ok\)/)
      assert.match(said, /TLSv1\.3/)
    })
})
