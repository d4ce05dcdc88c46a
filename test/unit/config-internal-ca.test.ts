/** The rows of the internal CA and of Vault: defaults, and every mistake with its place. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { load, problemsOf } from './config-folder.ts'

const base = 'listen: [{ port: 443 }]\nsites: [{ host: a.test, certificate: local, to: "http://10.0.0.1:80" }]\n'
const key = Buffer.alloc(32, 1).toString('base64url')
const first = async (text: string, env = {}) =>
  (await problemsOf(base + text, env)).map(each => each.split('\n')[0])

describe('ca', () => {
  it('has defaults that are safe to begin with', async () => {
    const text = `ca: { allow: "*.internal", acme: { listen: { port: 9443 }, host: ca.internal } }`
    const { config, warnings } = await load(base + text)
    assert.deepEqual(warnings, [])
    assert.deepEqual(config.ca, {
      own: null,
      lifetimeMs: 86_400_000,
      maxLifetimeMs: 86_400_000,
      allow: ['*.internal'],
      acme: {
        listen: { port: 9443, address: '::' },
        host: 'ca.internal',
        challenges: ['http-01'],
        externalAccounts: new Map(),
        http01Port: 80,
        tlsAlpn01Port: 443,
        networks: null,
        resolve: new Map(),
        resolvers: [],
      },
    })
    assert.equal((await load(base)).config.ca, null)
  })

  it('takes external accounts whose keys come from the environment', async () => {
    const text =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: how a file names an environment variable
      'ca: { acme: { listen: { port: 1 }, host: 10.0.0.1, challenges: [], externalAccounts: { team: { key: "${KEY}", allow: [a.internal, 10.0.0.0/8, 10.1.1.1] } } } }'
    const { config } = await load(base + text, { KEY: key })
    const account = config.ca?.acme?.externalAccounts.get('team')
    assert.deepEqual(account, { key: Buffer.alloc(32, 1), allow: ['a.internal', '10.0.0.0/8', '10.1.1.1/32'] })
  })

  it('says what is wrong, and never a key', async () => {
    const acme = (text: string) =>
      `ca: { allow: a.internal, acme: { listen: { port: 9443 }, host: ca.internal, ${text} } }`
    const cases: [string, RegExp][] = [
      ['ca: { chain: sallyport.yaml }', /chain and key belong together/],
      ['ca: { lifetime: 1m }', /lifetime is at least 5m/],
      ['ca: { lifetime: 48h, maxLifetime: 24h }', /maxLifetime is shorter/],
      ['ca: { allow: "*" }', /\* is not a name/],
      ['ca: { allow: [a b] }', /a b is not a name/],
      ['ca: { acme: { listen: { port: 443 }, host: ca.internal } }', /already has port 443/],
      ['ca: { acme: { listen: { port: 1 } } }', /host is missing/],
      ['ca: { acme: { host: ca.internal } }', /listen is missing/],
      [acme('challenges: []'), /no certificate can be issued/],
      [acme('challenges: [http-02]'), /challenges\[0\] takes/],
      [acme('externalAccounts: { team: { key: c2VjcmV0 } }'), /the key has 6 bytes, and needs at least 32/],
      [acme('externalAccounts: { team: { key: "sec ret" } }'), /the key is not base64url/],
      [acme('externalAccounts: { "a b": { key: x } }'), /key identifier/],
      [acme('resolve: { a.internal: localhost }'), /localhost is not an IP address/],
      [acme('resolvers: [dns.internal]'), /dns\.internal is not a DNS server/],
      [acme('networks: [10.0.0.0/40]'), /prefix/],
      [acme('host2: x'), /unknown key host2/],
    ]
    for (const [text, wanted] of cases) {
      const found = await first(text)
      assert.ok(
        found.some(each => wanted.test(each as string) && /^sallyport\.yaml:3:\d+: /.test(each as string)),
        `${text}: ${found}`,
      )
      assert.doesNotMatch(found.join(), /c2VjcmV0|sec ret/)
    }
    const { warnings } = await load(`${base}ca: { acme: { listen: { port: 1 }, host: ca.internal } }`)
    assert.match(warnings[0]?.message ?? '', /anyone who passes a challenge for a name/)
  })
})

describe('vault', () => {
  it('is read with one way to log in', async () => {
    const text =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: how a file names an environment variable
      'vault: { address: "https://vault.internal:8200/", role: web, ttl: 72h, auth: { approle: { roleId: gw, secretId: "${S}" } } }'
    const { config } = await load(base + text, { S: 'hush' })
    assert.deepEqual(config.vault, {
      address: 'https://vault.internal:8200',
      mount: 'pki',
      role: 'web',
      ttlMs: 72 * 3_600_000,
      namespace: null,
      caFile: null,
      auth: { kind: 'approle', mount: 'approle', roleId: 'gw', secret: { value: 'hush' } },
    })
  })

  it('says what is wrong', async () => {
    const vault = (auth: string, more = '') =>
      `vault: { address: "https://v.internal", role: web, auth: ${auth}${more} }`
    const cases: [string, RegExp][] = [
      [vault('{}'), /auth names no way/],
      [vault('{ token: a, tokenFile: sallyport.yaml }'), /token and tokenFile, and one is enough/],
      [vault('{ approle: { roleId: a, secretId: b, secretIdFile: sallyport.yaml } }'), /one of them is enough/],
      [vault('{ token: "a b" }'), /no token has/],
      [vault('{ token: a }', ', mount: ../sys'), /not a path of Vault/],
      ['vault: { address: "http://v.internal", role: web, auth: { token: a } }', /cleartext/],
      ['vault: { address: "https://v.internal/v1", role: web, auth: { token: a } }', /has no path/],
      ['vault: { address: "https://v.internal", auth: { token: a } }', /role is missing/],
    ]
    for (const [text, wanted] of cases) {
      const found = await first(text)
      assert.ok(
        found.some(each => wanted.test(each as string)),
        `${text}: ${found}`,
      )
    }
    const site = base.replace('certificate: local', 'certificate: vault')
    assert.match((await problemsOf(site)).join(), /certificate: vault needs vault, and it is missing/)
  })
})
