/** nginx behind, curl and openssl in front: whole files by hash, chunks, versions, groups, certificates by algorithm. */
import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { issueFiles, temporaryFolder, testCa } from '../harness/certificates.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { freePort, listening } from '../harness/ports.ts'

const has = (command: string, flag: string) => spawnSync(command, [flag]).error === undefined
const missing = ['nginx', 'curl', 'openssl'].filter(
  command => !has(command, command === 'nginx' ? '-v' : command === 'curl' ? '--version' : 'version'),
)
const skip = missing.length > 0 ? `not installed: ${missing.join(', ')}` : false
const run = promisify(execFile)

const ca = testCa()
const folder = temporaryFolder('sallyport-nginx-')
const file = randomBytes(1024 * 1024)
const hash = createHash('sha256').update(file).digest('hex')
let nginx: ReturnType<typeof spawn>
let gateway: Started

before(async () => {
  if (skip) return
  const plain = await freePort()
  const secure = await freePort()
  const inner = issueFiles(ca, ['internal.test'])
  // As root, nginx's worker is another user.
  chmodSync(folder, 0o755)
  mkdirSync(path.join(folder, 'www'))
  writeFileSync(path.join(folder, 'www', 'file'), file)
  const common = `root ${folder}/www; location = /hello { return 200 "hello $http_x_forwarded_proto"; }`
  writeFileSync(
    path.join(folder, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 1000; }
http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server { listen 127.0.0.1:${plain}; ${common} }
  server { listen 127.0.0.1:${secure} ssl; ssl_certificate ${inner.chainFile}; ssl_certificate_key ${inner.keyFile}; ${common} } }\n`,
  )
  nginx = spawn(
    'nginx',
    ['-p', folder, '-c', path.join(folder, 'nginx.conf'), '-e', path.join(folder, 'error.log')],
    { stdio: 'ignore' },
  )
  await listening(plain)
  const ecdsa = issueFiles(ca, ['two.test'])
  const rsa = issueFiles(ca, ['two.test'], { rsa: true })
  const pair = (files: { chainFile: string; keyFile: string }) => ({ chain: files.chainFile, key: files.keyFile })
  gateway = await startGateway({
    sites: [
      { host: 'edge.test', certificate: 'local', to: [`http://127.0.0.1:${plain}`] },
      {
        host: 'bridge.test',
        certificate: 'local',
        to: { endpoints: [`https://127.0.0.1:${secure}`], tls: { ca: ca.file, serverName: 'internal.test' } },
      },
      { host: 'two.test', certificate: [pair(rsa), pair(ecdsa)], to: [`http://127.0.0.1:${plain}`] },
      { host: 'modern.test', certificate: 'local', policy: 'modern', to: [`http://127.0.0.1:${plain}`] },
    ],
  })
})

after(async () => {
  if (skip) return
  await gateway.stop()
  nginx.kill()
})

const curl = async (host: string, target: string, ...more: string[]) => {
  const args = ['-sS', '--cacert', gateway.caFile, '--resolve', `${host}:${gateway.port}:127.0.0.1`, ...more]
  const { stdout } = await run('curl', [...args, `https://${host}:${gateway.port}${target}`], {
    encoding: 'buffer',
    maxBuffer: 64 << 20,
  })
  return stdout
}

/** What openssl s_client says of a connection. */
const openssl = (...args: string[]) =>
  new Promise<string>(resolve => {
    const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${gateway.port}`, ...args])
    let text = ''
    child.stdout.on('data', chunk => void (text += chunk))
    child.stderr.on('data', chunk => void (text += chunk))
    child.on('close', () => resolve(text))
    child.stdin.end()
  })

describe('nginx behind, curl in front', { skip }, () => {
  for (const host of ['edge.test', 'bridge.test']) {
    it(`${host}: a file of 1 MB arrives whole, also over HTTP/1.0, and many over one connection`, async () => {
      for (const version of ['--http1.1', '--http1.0']) {
        const body = await curl(host, '/file', version)
        assert.equal(createHash('sha256').update(body).digest('hex'), hash)
      }
      assert.equal((await curl(host, '/hello')).toString(), 'hello https')
      const url = `https://${host}:${gateway.port}/hello`
      const twenty = await curl(host, '/hello', ...Array.from({ length: 19 }, () => url))
      assert.equal(twenty.toString(), 'hello https'.repeat(20))
    })
  }

  it('a range, a HEAD and a 404 of the backend pass as they are', async () => {
    assert.deepEqual(await curl('edge.test', '/file', '-r', '10-19'), file.subarray(10, 20))
    assert.match((await curl('edge.test', '/file', '-I')).toString(), /content-length: 1048576/)
    assert.equal((await curl('edge.test', '/none', '-o', '/dev/null', '-w', '%{http_code}')).toString(), '404')
  })
})

describe('openssl in front', { skip }, () => {
  it('the certificate is chosen by what the client can verify', async () => {
    assert.match(
      await openssl('-servername', 'two.test', '-sigalgs', 'ecdsa_secp256r1_sha256'),
      /Peer signature type: ECDSA/,
    )
    assert.match(
      await openssl('-servername', 'two.test', '-sigalgs', 'rsa_pss_rsae_sha256'),
      /Peer signature type: RSA-PSS/,
    )
  })

  it('the policy names the versions', async () => {
    assert.match(await openssl('-servername', 'edge.test', '-tls1_2'), /Protocol\s*: TLSv1\.2/)
    assert.match(await openssl('-servername', 'modern.test', '-tls1_2'), /alert protocol version/)
    assert.match(
      await openssl('-servername', 'edge.test', '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'),
      /alert protocol version|no protocols available/,
    )
    assert.match(
      await openssl('-servername', 'edge.test', '-tls1_2', '-cipher', 'AES128-SHA:AES256-SHA'),
      /handshake failure|no cipher/i,
    )
  })

  for (const [group, shown] of [
    ['X25519', /Server Temp Key: X25519/],
    ['P-256', /Server Temp Key: ECDH, (?:prime256v1|P-256)/],
    ['P-384', /Server Temp Key: ECDH, (?:secp384r1|P-384)/],
  ] as const) {
    it(`the group ${group} is agreed on`, async () => {
      assert.match(await openssl('-servername', 'edge.test', '-groups', group), shown)
    })
  }

  it('renegotiation is refused', async () => {
    const child = spawn('openssl', [
      's_client',
      '-connect',
      `127.0.0.1:${gateway.port}`,
      '-servername',
      'edge.test',
      '-tls1_2',
    ])
    let text = ''
    const closed = new Promise(resolve => child.on('close', resolve))
    child.stderr.on('data', chunk => void (text += chunk))
    child.stdout.on('data', chunk => {
      text += chunk
      if (text.includes('Extended master secret') && !text.includes('RENEG')) {
        text += 'RENEG'
        child.stdin.write('R\n')
      }
    })
    await closed
    // s_client says RENEGOTIATING before it has tried.
    assert.match(text, /no renegotiation/)
    assert.ok(!/HTTP\/1\.1 200/.test(text))
  })
})
