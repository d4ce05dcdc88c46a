/** The command line as a user types it: what it prints, its exit codes, and what signals do. */

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { abilities } from '../../src/base/runtime.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { freePort } from '../harness/ports.ts'
import { rawTls } from '../harness/raw.ts'
import { main, readyOf } from '../harness/sallyport.ts'

type Ended = { code: number | null; out: string; err: string }

function start(...words: string[]): {
  child: ChildProcess
  ended: Promise<Ended>
  err(): string
  ready: Promise<void>
} {
  const child = spawn(process.execPath, [main, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, STATE_DIRECTORY: temporaryFolder('sallyport-state-') },
  })
  let out = ''
  let err = ''
  child.stdout.on('data', chunk => void (out += chunk))
  child.stderr.on('data', chunk => void (err += chunk))
  const ready = readyOf(child, () => out)
  const ended = new Promise<Ended>(resolve => child.on('close', code => resolve({ code, out, err })))
  return { child, ended, err: () => err, ready }
}

const cli = (...words: string[]) => start(...words).ended

function file(text: string): string {
  const name = path.join(temporaryFolder('sallyport-cli-'), 'sallyport.yaml')
  writeFileSync(name, text)
  return name
}

const site = (body: string) =>
  `sites:\n  - { host: localhost, certificate: local, routes: [{ respond: { body: ${body} } }] }\n`

describe('sallyport', () => {
  it('says its version and its verbs', async () => {
    assert.match((await cli('--version')).out, /^sallyport \d+\.\d+\.\d+ \((bun|node) /)
    const help = await cli('help')
    for (const verb of ['run', 'proxy', 'check', 'explain', 'certs', 'schema'])
      assert.match(help.out, new RegExp(`^ {2}${verb} `, 'm'))
    assert.match((await cli('help', 'run')).out, /--workers/)
  })

  it('refuses what it does not know, with exit code 2', async () => {
    for (const words of [
      ['nonsense'],
      ['run', '--nonsense'],
      ['run', '-c'],
      ['run', '-c', '/nowhere.yaml'],
      ['proxy'],
    ]) {
      const { code, err } = await cli(...words)
      assert.equal(code, 2, `${words.join(' ')}: ${err}`)
      assert.ok(err.length > 10)
    }
  })

  it('check says every mistake with its line and column', async () => {
    const name = file(
      'listen:\n  - port: 99999\nsites:\n  - host: a.test\n    certificte: local\n    to: http://127.0.0.1:1\n',
    )
    const { code, err } = await cli('check', '-c', name)
    assert.equal(code, 2)
    assert.match(err, /sallyport\.yaml:2:\d+: /)
    assert.match(err, /sallyport\.yaml:5:\d+: .*certificte/)
    assert.match(err, /certificate/)
    assert.equal((await cli('check', '-c', file(`listen: [{ port: 8443 }]\n${site('x')}`))).code, 0)
  })

  it('explain says who would serve a URL', async () => {
    const name = file(
      'listen: [{ port: 443 }]\nsites:\n  - { host: "*.a.test", certificate: local, to: "http://127.0.0.1:81" }\n',
    )
    const { out } = await cli('explain', 'https://x.a.test/p/../q', '-c', name)
    assert.match(out, /site +\*\.a\.test \(wildcard\)/)
    assert.match(out, /endpoint +127\.0\.0\.1:81 \(plain HTTP\)/)
    assert.match((await cli('explain', 'https://b.test/', '-c', name)).out, /unrecognized_name/)
  })

  it('explain knows the sites of each listener, and whom it trusts', async () => {
    const name = file(
      'listen:\n  - { name: out, port: 443, trust: { from: 10.0.0.0/8 } }\n  - { name: in, port: 8443 }\n  - { port: 80, cleartext: redirect, trust: { from: 10.0.0.0/8 } }\nsites:\n' +
        '  - { host: a.test, certificate: local, listeners: in, to: "http://127.0.0.1:81" }\n  - { host: b.test, certificate: local, to: "http://127.0.0.1:81" }\n',
    )
    const inside = (await cli('explain', 'https://a.test:8443/', '-c', name)).out
    assert.match(inside, /^listener +in :::8443 TLS$/m)
    assert.match(inside, /^site +a\.test.*\nlisteners +the site is served on in only$/m)
    const outside = (await cli('explain', 'https://a.test/', '-c', name)).out
    assert.match(outside, /^trust +10\.0\.0\.0\/8 say who the client is \(x-forwarded\)$/m)
    assert.match(outside, /none on this listener has the name a\.test.*\nlisteners +a\.test is served on in only$/m)
    const plain = (await cli('explain', 'http://a.test/', '-c', name)).out
    assert.match(plain, /^answer +308 to https:\/\/a\.test:8443\/$/m)
    assert.match(plain, /^trust +clients that came to 10\.0\.0\.0\/8 by https are served here/m)
  })

  it('explain says what answers where no route or site does', async () => {
    const headers = (name: string) => `headers: { response: { set: { ${name}: b } } }`
    const name = file(
      `listen: [{ port: 443 }, { port: 80, cleartext: serve }]\ndefaults: { ${headers('x-all')} }\nlimits: { body: 1mb }\nsites:\n  - { host: a.test, certificate: local, ${headers('x-a')}, routes: [{ match: { path: /x }, to: "http://127.0.0.1:81" }] }\n`,
    )
    const stages = (out: string) => out.split('\n').filter(line => /^(stage|answer) /.test(line))
    const limit = 'stage      limits.body: a request body has at most 1048576 bytes (limits.body)'
    const all = 'stage      headers: set x-all of the response (defaults.headers)'
    assert.deepEqual(stages((await cli('explain', 'https://a.test/y', '-c', name)).out), [
      all,
      'stage      headers: set x-a of the response (sites[0].headers)',
      limit,
      'answer     404',
    ])
    assert.deepEqual(stages((await cli('explain', 'http://b.test/', '-c', name)).out), [
      all,
      limit,
      'answer     404',
    ])
  })

  it('explain takes the ports that clients connect to', async () => {
    const name = file(
      `listen: [{ port: 8443, public: 9443 }, { port: 8080, public: 80, cleartext: redirect }]\n${site('a.test')}`,
    )
    const listener = async (url: string) => /^listener.*$/m.exec((await cli('explain', url, '-c', name)).out)?.[0]
    for (const url of ['https://a.test:9443/', 'https://a.test:8443/'])
      assert.equal(await listener(url), 'listener   :::8443 (public 9443) TLS')
    assert.match((await cli('explain', 'http://a.test/x', '-c', name)).out, /308 to https:\/\/a\.test:9443\/x/)
  })

  it('explain fails where no listener is on the port', async () => {
    const name = file(`listen: [{ port: 443 }, { port: 80, cleartext: redirect }]\n${site('a.test')}`)
    const { code, err } = await cli('explain', 'https://a.test:9443/', '-c', name)
    assert.equal(code, 2)
    assert.match(
      err,
      /no listener on port 9443 for https:\/\/: the configuration listens on 443, 80 \(cleartext: redirect\)/,
    )
    assert.equal((await cli('explain', 'https://a.test:443/', '-c', name)).code, 0)
  })

  it('check --json gives each problem with its place, for programs', async () => {
    const bad = await cli('check', '--json', '-c', file('listen: [{ port: 443 }]\nsites: [{ hots: a.test }]\n'))
    assert.equal(bad.code, 2)
    const { ok, problems } = JSON.parse(bad.out)
    assert.equal(ok, false)
    const { severity, line, column, path, message, hint } = problems.find((one: { path: string }) =>
      one.path.endsWith('hots'),
    )
    assert.deepEqual(
      { severity, line, column, path, message, hint },
      {
        severity: 'error',
        line: 2,
        column: 11,
        path: 'sites[0].hots',
        message: 'unknown key hots',
        hint: 'did you mean host?',
      },
    )
    const good = await cli('check', '--json', '-c', file(`listen: [{ port: 443 }]\n${site('a.test')}`))
    assert.deepEqual(JSON.parse(good.out), { ok: true, problems: [] })
  })

  it('schema is JSON, and certs says how to trust the local CA', async () => {
    assert.equal(typeof JSON.parse((await cli('schema')).out), 'object')
    const { out } = await cli('certs', '-c', file(`listen: [{ port: 8443 }]\n${site('x')}`))
    assert.match(out, /local-ca\/ca\.pem/)
  })

  for (const workers of ['1', '2']) {
    it(`run with ${workers} workers serves, reloads on SIGHUP, and drains on SIGTERM`, async () => {
      const at = await freePort()
      const text = (body: string) => `listen: [{ port: ${at}, address: 127.0.0.1 }]\n${site(body)}`
      const name = file(text('one'))
      const gateway = start('run', '-c', name, '--workers', workers)
      await gateway.ready
      const ask = async () => {
        const client = await rawTls(at)
        client.send('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
        return (await client.closed()).received
      }
      assert.match(await ask(), /one$/)
      writeFileSync(name, text('two'))
      gateway.child.kill('SIGHUP')
      // Each worker reloads by itself: new answers until no old one has come for a while.
      for (let streak = 0; streak < 20; ) streak = /two$/.test(await ask()) ? streak + 1 : 0
      gateway.child.kill('SIGTERM')
      const { code, out } = await gateway.ended
      assert.equal(code, 0, out)
      for (const line of out.split('\n').filter(each => each !== '')) JSON.parse(line)
    })
  }

  for (const workers of ['1', '2']) {
    it(`status, handshakes, reload and drain ask a gateway of ${workers} over its control sockets`, async () => {
      const at = await freePort()
      const state = temporaryFolder('sallyport-state-')
      const token = 'k7b2f0c9k7b2f0c9'
      const admin = await freePort()
      const text = (body: string) =>
        `listen: [{ port: ${at}, address: 127.0.0.1 }]\nstate: ${state}\n` +
        `admin: { listen: { port: ${admin} }, token: ${token} }\n${site(body)}`
      const name = file(text('one'))
      const nobody = await cli('status', '-c', name)
      assert.equal(nobody.code, 1)
      assert.match(nobody.err, /no gateway is running with this state folder/)
      for (const verb of ['reload', 'drain', 'handshakes']) {
        const { code, err } = await cli(verb, '-c', name)
        assert.deepEqual([code, err], [1, nobody.err], verb)
      }
      const gateway = start('run', '-c', name, '--workers', workers)
      await gateway.ready
      // For its own user only: this is how a gateway is told to stop.
      assert.equal(statSync(path.join(state, 'control')).mode & 0o777, 0o700)
      assert.equal(readdirSync(path.join(state, 'control')).length, Number(workers))
      const { out } = await cli('status', '-c', name)
      assert.equal(
        out.match(/^process \d+ \((bun|node) [^)]+\), up 0 min, ports \d+, 1 sites, /gm)?.length,
        Number(workers),
      )
      assert.equal((await cli('handshakes', '-c', name)).out, 'no handshake has failed\n')
      for (let count = 0; count < 3; count++) await assert.rejects(rawTls(at, { servername: 'nobody.test' }))
      const failed = (await cli('handshakes', '-c', name)).out
      assert.match(
        failed,
        /^ {4}3 {2}TLS_UNKNOWN_NAME: no site has the name nobody\.test\n {7}names +nobody\.test\n {7}clients +127\.0\.0\.1\n/,
      )
      assert.match(failed, /^ {7}alert +unrecognized_name, sent by the gateway$/m)
      assert.match(failed, /^ {9}versions +TLS 1\.3, TLS 1\.2$/m)
      assert.match(failed, /^ {9}JA4 +t1/m)
      const parsed = JSON.parse((await cli('handshakes', '-c', name, '--json')).out) as {
        groups: { count: number; names: unknown; clients: unknown }[]
      }
      assert.equal(parsed.groups[0]?.count, 3)
      assert.deepEqual(parsed.groups[0]?.names, [{ name: 'nobody.test', count: 3 }])
      assert.deepEqual(parsed.groups[0]?.clients, [{ name: '127.0.0.1', count: 3 }])
      // The same over the admin listener, of every process.
      const over = async (command: string, bearer: string) => {
        const headers = { authorization: `Bearer ${bearer}`, connection: 'close' }
        const answer = await fetch(`http://127.0.0.1:${admin}/control/v2/${command}`, { headers })
        return { status: answer.status, text: await answer.text() }
      }
      assert.equal((await over('status', 'k7b2f0c9k7b2f0c8')).status, 401)
      assert.equal((await over('drain', token)).status, 403)
      const replies = JSON.parse((await over('status', token)).text) as { ok: { failedHandshakes: number } }[]
      assert.deepEqual(
        [replies.length, replies.reduce((sum, { ok }) => sum + ok.failedHandshakes, 0)],
        [Number(workers), 3],
      )
      assert.equal((JSON.parse((await over('handshakes', token)).text) as { total: number }).total, 3)

      writeFileSync(name, text('two'))
      assert.deepEqual(
        [(await cli('reload', '-c', name)).out, (await cli('reload', '-c', name, '--json')).out],
        ['reloaded\n', '{\n  "reloaded": true\n}\n'],
      )
      const [gatewayPid] = (
        JSON.parse((await cli('status', '-c', name, '--json')).out) as { gateway: number }[]
      ).map(each => each.gateway)
      const other = await cli('drain', '-c', name, '--gateway', '1')
      assert.deepEqual([other.code, other.out], [1, ''])
      assert.match(other.err, new RegExp(`no gateway of process 1 .* there are process ${gatewayPid}`))
      const drained = await cli('drain', '-c', name, '--gateway', String(gatewayPid), '--json')
      assert.deepEqual([drained.code, drained.out], [0, '{\n  "drained": true\n}\n'])
      assert.equal((await gateway.ended).code, 0)
    })
  }

  it('says which gateway, where two run with one state folder', async () => {
    const state = temporaryFolder('sallyport-state-')
    const names: string[] = []
    const gateways: ReturnType<typeof start>[] = []
    for (const body of ['one', 'two']) {
      const at = await freePort()
      names.push(file(`listen: [{ port: ${at}, address: 127.0.0.1 }]\nstate: ${state}\n${site(body)}`))
      gateways.push(start('run', '-c', names.at(-1) as string))
      await gateways.at(-1)?.ready
    }
    const name = names[0] as string
    const drains = async () => await cli('drain', '-c', name)
    const refused = await drains()
    assert.deepEqual([refused.code, refused.out], [1, ''])
    assert.match(refused.err, /2 gateways run with this state folder .* say which one with --gateway PID/)
    const pids = (JSON.parse((await cli('status', '-c', name, '--json')).out) as { gateway: number }[]).map(
      each => each.gateway,
    )
    assert.equal(pids.length, 2)
    // The others of the folder are left alone, and not waited for.
    const drained = await cli('drain', '-c', name, '--gateway', String(pids[1]))
    assert.deepEqual([drained.code, drained.out], [0, 'drained\n'])
    assert.equal((await drains()).out, 'drained\n')
    for (const gateway of gateways) assert.equal((await gateway.ended).code, 0)
  })

  it('reload says why it did not work, and the old configuration stays', async () => {
    const at = await freePort()
    const state = temporaryFolder('sallyport-state-')
    const top = `listen: [{ port: ${at}, address: 127.0.0.1 }]\nstate: ${state}\n`
    const pair = 'certificate: { chain: ./c.pem, key: ./k.pem }'
    const name = file(`${top}${site('one')}`)
    const gateway = start('run', '-c', name)
    await gateway.ready
    for (const file of ['c.pem', 'k.pem']) writeFileSync(path.join(path.dirname(name), file), 'no certificate')
    writeFileSync(name, `${top}sites:\n  - { host: localhost, ${pair}, to: http://127.0.0.1:1 }\n`)
    const { code, err } = await cli('reload', '-c', name)
    assert.equal(code, 1)
    assert.match(err, /^not reloaded: .*c\.pem/)
    const client = await rawTls(at)
    client.send('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    assert.match((await client.closed()).received, /one$/)
    gateway.child.kill('SIGTERM')
    await gateway.ended
  })

  it('check says that sessions resume within one worker, where that is so', async () => {
    const text =
      'listen: [{ port: 443 }]\nworkers: 4\nsites: [{ host: a.test, certificate: local, to: "http://b.test" }]'
    const { code, err } = await cli('check', '-c', file(text))
    assert.equal(code, 0)
    if (abilities.ticketKeys) assert.equal(err, '')
    else assert.match(err, /:2:10: note: TLS sessions resume within one worker only, on bun$/m)
    const written = await cli('check', '-c', file(`tickets: { keep: 4 }\n${text}`))
    assert.equal(written.code, 0)
    if (abilities.ticketKeys) assert.equal(written.err, '')
    else
      assert.match(written.err, /sallyport\.yaml:1:1: warning: tickets: bun's TLS library accepts no ticket keys/)
    assert.equal((await cli('check', '-c', file(text.replace('workers: 4\n', '')))).err, '')
  })

  it('policies and map print what they know', async () => {
    const all = await cli('policies')
    assert.match(all.out, /^intermediate +1\.2 - 1\.3 +9 ciphers {2}X25519MLKEM768, X25519, P-256, P-384$/m)
    assert.match((await cli('policies', 'modern')).out, /^here +all of it can be offered$/m)
    const wrong = await cli('policies', 'moden')
    assert.deepEqual([wrong.code, /did you mean modern\?/.test(wrong.err)], [2, true])
    assert.match((await cli('policies', 'ours')).err, /there is no policy ours; for one of your own add -c FILE/)
    const own = file(
      `listen: [{ port: 443 }]\npolicies: { ours: { extends: modern, groups: [X25519] } }\nsites: [{ host: a.test, certificate: local, policy: ours, to: "http://10.0.0.1:80" }]`,
    )
    assert.match((await cli('policies', 'ours', '-c', own)).out, /^source +modern, changed in the configuration$/m)
    assert.match((await cli('policies', '-c', own)).out, /^ours +1\.3 .*X25519$/m)
    const name = file(
      `listen: [{ port: 443 }]\nsites: [{ host: a.test, certificate: local, to: "http://10.0.0.1:80" }]`,
    )
    assert.match((await cli('map', '-c', name)).out, /^a\.test\/\* {3}EDGE$/m)
    const short = await cli('map', '-c', name, '--require', 'end-to-end')
    assert.equal(short.code, 1)
    assert.match(
      short.err,
      /^1 hop falls short of end-to-end:\n {2}a\.test\/\*: gateway to 10\.0\.0\.1:80: HTTP in the open\n$/,
    )
    assert.match((await cli('map', '-c', name, '--format', 'svg')).out, /^<svg /)
    assert.equal((await cli('map', '-c', name, '--require', 'nonsense')).code, 2)
  })

  it('session secrets are written only when asked for by name, with a loud record, and not on Bun', async () => {
    const at = await freePort()
    const folder = temporaryFolder()
    const secrets = path.join(folder, 'secrets')
    const name = file(`listen: [{ port: ${at}, address: 127.0.0.1 }]\nstate: ${folder}\n${site('one')}`)
    const gateway = start('run', '-c', name, '--tls-keylog', secrets)
    if (process.versions['bun'] !== undefined) {
      const { code, err } = await gateway.ended
      assert.equal(code, 2)
      assert.match(err, /gives no session secrets; use --runtime node/)
      return
    }
    await gateway.ready
    const client = await rawTls(at)
    client.send('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    await client.closed()
    gateway.child.kill('SIGTERM')
    const { out } = await gateway.ended
    assert.match(out, /"level":"error","message":"SESSION SECRETS ARE WRITTEN TO A FILE/)
    assert.match(readFileSync(secrets, 'latin1'), /^CLIENT_TRAFFIC_SECRET_0 [0-9a-f]{64} [0-9a-f]{64,96}$/m)
    assert.equal(statSync(secrets).mode & 0o777, 0o600)
  })

  it('proxy needs no file', async () => {
    const at = await freePort()
    const gateway = start('proxy', '--from', `https://localhost:${at}`, '--to', 'http://127.0.0.1:1')
    await gateway.ready
    const client = await rawTls(at)
    client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.match(await client.until(text => text.includes('</html>')), /^HTTP\/1\.1 502 /)
    client.destroy()
    gateway.child.kill('SIGTERM')
    assert.equal((await gateway.ended).code, 0)
  })
})
