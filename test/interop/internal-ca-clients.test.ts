/** The ACME server of the internal CA as standard clients see it: certbot, Caddy, and a client with an RSA account key. */

import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { TestAcmeClient } from '../harness/acme-client.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { askHttps, servedCa } from '../harness/internal-ca.ts'
import { freePort } from '../harness/ports.ts'
import { eventually } from '../harness/until.ts'

const run = promisify(execFile)
const has = (command: string, ...args: string[]) => spawnSync(command, args).status === 0
const secret = randomBytes(32)
const eab = secret.toString('base64url')

describe('the ACME server of the internal CA', () => {
  let ca: Awaited<ReturnType<typeof servedCa>>
  let http01Port = 0
  let tlsAlpn01Port = 0

  const names = ['orders.internal', 'pay.internal', 'lego.internal', 'acme-sh.internal']

  before(async () => {
    http01Port = await freePort()
    tlsAlpn01Port = await freePort()
    const externalAccounts = {
      team: { key: eab, allow: ['caddy.internal', 'shell.internal'] },
    }
    ca = await servedCa(
      { http01Port, tlsAlpn01Port, challenges: ['http-01', 'tls-alpn-01'], externalAccounts },
      names,
      {
        allow: '*.internal',
      },
    )
  })
  after(() => ca.server.close())

  const openssl = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' })
    return { ok: status === 0, text: stdout + stderr }
  }

  test('certbot gets a certificate by http-01, renews it, and revokes it', {
    skip: has('certbot', '--version') ? false : 'certbot is not installed',
  }, async () => {
    const folder = temporaryFolder()
    const folders = ['config', 'work', 'logs'].flatMap(name => [`--${name}-dir`, path.join(folder, name)])
    const env = { ...process.env, REQUESTS_CA_BUNDLE: ca.rootFile }
    const certbot = (...args: string[]) =>
      run('certbot', [...args, ...folders, '--server', ca.directory, '-n'], { env })
    const port = ['--http-01-port', `${http01Port}`, '--http-01-address', '127.0.0.1']
    await certbot(
      'certonly',
      '--standalone',
      ...port,
      '--agree-tos',
      '-m',
      'ops@example.com',
      '--no-eff-email',
      '--eab-kid',
      'team',
      // In one word: a key may begin with a dash.
      `--eab-hmac-key=${eab}`,
      '-d',
      'orders.internal',
      '-d',
      'pay.internal',
    )
    const live = path.join(folder, 'config/live/orders.internal')
    const chain = path.join(live, 'fullchain.pem')
    const first = new X509Certificate(readFileSync(chain))
    const checked = openssl(
      'verify',
      '-x509_strict',
      '-CAfile',
      ca.rootFile,
      '-untrusted',
      chain,
      '-verify_hostname',
      'pay.internal',
      chain,
    )
    assert.ok(checked.ok, checked.text)
    await certbot('renew', '--force-renewal', '--no-random-sleep-on-renew')
    const second = new X509Certificate(readFileSync(chain))
    assert.notEqual(second.serialNumber, first.serialNumber)
    await certbot(
      'revoke',
      '--cert-name',
      'orders.internal',
      '--reason',
      'keycompromise',
      '--no-delete-after-revoke',
    )
    const crl = path.join(folder, 'ca.crl')
    writeFileSync(crl, ca.authority.crl(3_600_000).pem)
    const refused = openssl(
      'verify',
      '-x509_strict',
      '-crl_check',
      '-CRLfile',
      crl,
      '-CAfile',
      ca.rootFile,
      '-untrusted',
      chain,
      chain,
    )
    assert.match(refused.text, /certificate revoked/)
  })

  test('Caddy gets one by its external account alone, and serves it', {
    skip: has('caddy', 'version') ? false : 'caddy is not installed',
  }, async () => {
    const folder = temporaryFolder()
    const [plain, port] = [await freePort(), await freePort()]
    writeFileSync(
      path.join(folder, 'Caddyfile'),
      `{
        admin off
        storage file_system ${folder}/storage
        acme_ca ${ca.directory}
        acme_ca_root ${ca.rootFile}
        acme_eab {
          key_id team
          mac_key ${eab}
        }
        http_port ${plain}
        https_port ${port}
      }
      caddy.internal {
        respond "from caddy"
      }`,
    )
    const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder }
    const caddy = spawn('caddy', ['run', '--config', path.join(folder, 'Caddyfile')], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    try {
      let text = ''
      await new Promise<void>((resolve, reject) => {
        caddy.stderr.on('data', chunk => {
          text += chunk
          if (text.includes('certificate obtained successfully')) resolve()
        })
        caddy.on('close', () => reject(new Error(text)))
      })
      const options = { host: '127.0.0.1', port, servername: 'caddy.internal', ca: readFileSync(ca.rootFile) }
      const look = () =>
        new Promise<X509Certificate>((resolve, reject) => {
          const socket = tls.connect(options, () => {
            resolve(new X509Certificate(socket.getPeerCertificate().raw))
            socket.destroy()
          })
          socket.on('error', reject)
        })
      // Caddy says that it has the certificate a moment before it shows it.
      const seen: X509Certificate[] = []
      await eventually('Caddy shows its certificate', () =>
        look().then(
          certificate => seen.push(certificate) > 0,
          () => false,
        ),
      )
      const shown = seen[0] as X509Certificate
      assert.match(shown.subjectAltName ?? '', /caddy\.internal/)
      // RFC 9773 and ours: hours, not days.
      assert.ok(shown.validToDate.getTime() - Date.now() < 25 * 3_600_000)
    } finally {
      const ended = new Promise(resolve => caddy.on('exit', resolve))
      caddy.kill('SIGKILL')
      await ended
    }
  })

  for (const kind of ['http-01', 'tls-alpn-01'] as const) {
    test(`lego gets one by ${kind}, and renews it`, {
      skip: has('lego', '--version') ? false : 'lego is not installed',
    }, async () => {
      const folder = temporaryFolder()
      const env = { ...process.env, LEGO_CA_CERTIFICATES: ca.rootFile }
      const by =
        kind === 'http-01'
          ? ['--http', '--http.port', `127.0.0.1:${http01Port}`]
          : ['--tls', '--tls.port', `127.0.0.1:${tlsAlpn01Port}`]
      const account = ['--accept-tos', '--email', 'ops@example.com', '--eab', '--kid', 'team', `--hmac=${eab}`]
      const lego = (...verb: string[]) =>
        run(
          'lego',
          ['--server', ca.directory, '--path', folder, ...account, ...by, '-d', 'lego.internal', ...verb],
          {
            env,
          },
        )
      await lego('run')
      const chain = path.join(folder, 'certificates/lego.internal.crt')
      const first = new X509Certificate(readFileSync(chain))
      const checked = openssl('verify', '-CAfile', ca.rootFile, '-untrusted', chain, chain)
      assert.ok(checked.ok, checked.text)
      await lego('renew', '--days', '9999', '--no-random-sleep')
      assert.notEqual(new X509Certificate(readFileSync(chain)).serialNumber, first.serialNumber)
    })

    test(`openssl and curl in the manner of acme.sh get one by ${kind}`, async () => {
      const folder = temporaryFolder()
      const port = kind === 'http-01' ? http01Port : tlsAlpn01Port
      const script = path.join(import.meta.dirname, 'acme-shell.sh')
      const by = [kind, '127.0.0.1', `${port}`, 'acme-sh.internal', folder]
      await run('sh', [script, ca.directory, ca.rootFile, 'team', eab, ...by])
      const chain = path.join(folder, 'chain.pem')
      const checked = openssl(
        'verify',
        '-CAfile',
        ca.rootFile,
        '-untrusted',
        chain,
        '-verify_hostname',
        'acme-sh.internal',
        chain,
      )
      assert.ok(checked.ok, checked.text)
    })
  }

  test('a client in the manner of acme.sh: an RSA account key, one certificate', async () => {
    const base = ca.directory.replace('/directory', '')
    const client = new TestAcmeClient(
      base,
      askHttps(base, ca.rootFile),
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
    )
    const made = await client.register({ externalAccountBinding: client.binding('team', secret) })
    assert.equal(made.status, 201, made.text)
    const order = await client.order('shell.internal')
    const done = await client.finalize(order, ['shell.internal'])
    assert.equal(done.body.status, 'valid', done.text)
    const chain = await client.post(done.body.certificate, '')
    assert.equal(chain.text.match(/BEGIN CERTIFICATE/g)?.length, 2)
  })
})
