/** `files`: no path and no link leads out of the root, whatever it is written as, and only regular files are sent. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ask, versions } from '../harness/ask.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { writeTree } from '../harness/file-tree.ts'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'
import { eventually } from '../harness/until.ts'
import { load, problemsOfValue } from '../unit/config-folder.ts'

const folder = temporaryFolder('sallyport-refused-')
const root = path.join(folder, 'public')
const secret = 'the secret'
const listener = net.createServer()

let gateway: Started

before(async () => {
  writeTree(folder, {
    'secret.txt': secret,
    'public/secret.txt.d/x': 'x',
    'public/index.html': 'home',
    'public/.env': secret,
    'public/.git/config': secret,
    'public/a/.hidden/x.txt': secret,
    'public/.well-known/ok.txt': 'ok',
    'public/.well-known/.htpasswd': secret,
    'public/a/.well-known/x.txt': secret,
    'public/back\\slash.txt': secret,
    'public/real/page.html': 'page',
    'public-other/secret.txt': secret,
    'releases/1/index.html': 'one',
    'releases/2/index.html': 'two',
  })
  const link = (to: string, name: string) => symlinkSync(to, path.join(root, name))
  link('../secret.txt', 'out.txt')
  link(path.join(folder, 'secret.txt'), 'out-absolute.txt')
  link('..', 'up')
  link('../public-other', 'sibling')
  link('/dev/zero', 'zero')
  link('loop', 'loop')
  link('nowhere', 'dangling')
  link('real/page.html', 'inside.html')
  link('real', 'inside')
  symlinkSync('releases/1', path.join(folder, 'current'))
  execFileSync('mkfifo', [path.join(root, 'pipe')])
  await new Promise<void>(resolve => listener.listen(path.join(root, 'socket'), resolve))
  gateway = await startGateway({
    defaults: { errors: { '5xx': { file: path.join(root, 'index.html') } } },
    sites: localhostWith(
      { match: { path: '/current/*' }, strip: '/current', files: { root: path.join(folder, 'current') } },
      // What a stage has changed is looked at again.
      { match: { path: '/any/*' }, rewrite: { from: '/any/*/x', to: '/*/secret.txt' }, files: { root } },
      { match: { path: '/list/*' }, strip: '/list', files: { root, listing: true } },
      { files: { root } },
    ),
  })
})

after(async () => {
  await gateway.stop()
  listener.close()
})

const climbing = [
  '/../secret.txt',
  '/..%2fsecret.txt',
  '/..%2Fsecret.txt',
  '/%2e%2e/secret.txt',
  '/%2e%2e%2fsecret.txt',
  '/.%2e/secret.txt',
  '/a/../../secret.txt',
  '/a/%2e%2e/%2e%2e/secret.txt',
  '/..\\secret.txt',
  '/..%5csecret.txt',
  '/..%255csecret.txt',
  '/%252e%252e/secret.txt',
  '/%252e%252e%252fsecret.txt',
  '/..;/secret.txt',
  '/..%00/secret.txt',
  '/secret.txt%00.html',
  '/../secret.txt%00.html',
  '/%c0%ae%c0%ae/secret.txt',
  '/%c0%ae%c0%ae%c0%afsecret.txt',
  '/%e0%80%ae%e0%80%ae/secret.txt',
  '/%uff0e%uff0e/secret.txt',
  '/%ef%bc%8e%ef%bc%8e/secret.txt',
  '/%ef%bc%8e%ef%bc%8e%ef%bc%8fsecret.txt',
  '/%e2%80%a5/secret.txt',
  '/..%e2%88%95secret.txt',
  '/..%ef%bc%8fsecret.txt',
  '/..%e2%81%84secret.txt',
  '/%ff%fe/secret.txt',
  '/\u00e4\u00ff/secret.txt',
  '/....//secret.txt',
  '/..././secret.txt',
  '/.../secret.txt',
  '/a/..;a=b/..;a=b/secret.txt',
  '//secret.txt',
  '///etc/passwd',
  '/%2fetc/passwd',
  '//etc/passwd',
  '/file:///etc/passwd',
  '/~root/secret.txt',
  '/public/../../secret.txt',
  '/secret.txt.d/../../secret.txt',
  '/proc/self/root/etc/passwd',
  `/${'a/'.repeat(1_500)}..%2f`,
  `/${'a'.repeat(4_000)}`,
]
const hidden = [
  '/.env',
  '/%2eenv',
  '/.git/config',
  '/.git',
  '/a/.hidden/x.txt',
  '/.well-known/.htpasswd',
  '/a/.well-known/x.txt',
  '/back\\slash.txt',
  '/back%5Cslash.txt',
]
const leaving = [
  '/out.txt',
  '/out-absolute.txt',
  '/up/secret.txt',
  '/sibling/secret.txt',
  '/up',
  '/up/',
  '/up/public/index.html/',
]
const others = ['/pipe', '/socket', '/zero', '/loop', '/dangling', '/loop/x', '/index.html/x']

for (const version of versions) {
  describe(version, () => {
    const get = (path: string, host = 'localhost') => ask(version, gateway.port, { path, host })

    for (const [what, paths] of Object.entries({ climbing, hidden, leaving, others })) {
      it(`${what}: a 400 or 404, and nothing of what lies there`, async () => {
        for (const path of paths) {
          const answer = await get(path)
          assert.ok(answer.status === 404 || answer.status === 400, `${path}: ${answer.status}`)
          assert.doesNotMatch(answer.body, /the secret|root:/, path)
        }
      })
    }

    it('rewriting makes no path that leads out', async () => {
      for (const path of ['/any/up/x', '/any/%2e%2e/x', '/any/.well-known/x', '/any/.git/x'])
        assert.notEqual((await get(path)).status, 200, path)
    })

    it('links that stay inside are followed', async () => {
      for (const path of ['/inside.html', '/inside/page.html']) assert.equal((await get(path)).body, 'page')
      assert.equal((await get('/.well-known/ok.txt')).body, 'ok')
    })

    it('a listing of a folder outside is refused, and hides what is not served', async () => {
      for (const path of ['/list/up/', '/list/sibling/', '/list/.git/'])
        assert.equal((await get(path)).status, 404, path)
      assert.doesNotMatch((await get('/list/a/')).body, /hidden|well-known/)
    })

    it('a link that is exchanged all the time never leads out', async () => {
      const name = path.join(root, `flip-${version.at(-1)}.txt`)
      const flip = (to: string) => {
        symlinkSync(to, `${name}.new`)
        renameSync(`${name}.new`, name)
      }
      const seen = new Set<string>()
      for (let times = 0; times < 60; times++) {
        flip('real/page.html')
        const answers = Array.from({ length: 3 }, () => get(`/${path.basename(name)}`))
        flip('../secret.txt')
        for (const { status, body } of await Promise.all(answers)) seen.add(status === 200 ? body : `${status}`)
      }
      seen.delete('page')
      assert.deepEqual([...seen], seen.size === 0 ? [] : ['404'])
    })

    it('a redirect to a folder leads to no other host', async () => {
      mkdirSync(path.join(root, 'evil.test'), { recursive: true })
      for (const target of ['//evil.test', '/\\evil.test', '/.//evil.test', '/%5Cevil.test', '/x/..//evil.test']) {
        const location = (await get(target)).field('location')
        assert.ok(location === null || /^\/[^/\\]/.test(location), `${target}: ${location}`)
      }
    })

    it('what may not be read is a 403', async () => {
      const locked = path.join(root, 'locked.txt')
      writeFileSync(locked, 'x')
      chmodSync(locked, 0)
      // Root may read everything: as somebody else, who may read the folder.
      const asOther = process.geteuid?.() === 0
      chmodSync(folder, 0o755)
      if (asOther) process.seteuid?.(65534)
      try {
        assert.equal((await get('/locked.txt')).status, 403)
        assert.equal((await get('/index.html')).status, 200)
      } finally {
        if (asOther) process.seteuid?.(0)
      }
    })
  })
}

describe('the root', () => {
  it('may be a link that is pointed elsewhere', async () => {
    const get = async () => (await ask('HTTP/1.1', gateway.port, { path: '/current/' })).body
    assert.equal(await get(), 'one')
    symlinkSync('releases/2', path.join(folder, 'next'))
    renameSync(path.join(folder, 'next'), path.join(folder, 'current'))
    rmSync(path.join(folder, 'releases/1'), { recursive: true })
    await eventually('the second release is served', async () => (await get()) === 'two')
  })

  it('has to be a folder, and names in it are names', async () => {
    const says = async (files: object) => {
      const sites = [{ host: 'a.test', certificate: 'local', routes: [{ files }] }]
      return (await problemsOfValue({ listen: [{ port: 0 }], sites })).join('\n')
    }
    assert.match(await says({ root: path.join(folder, 'none') }), /none does not exist/)
    assert.match(await says({ root: path.join(folder, 'secret.txt') }), /secret\.txt is not a folder/)
    for (const name of ['../secret.txt', '/etc/passwd', '.env', 'a//b', 'a/', '', 'a\\b'])
      assert.match(await says({ root, fallback: name }), /is not the name of a file/, name)
    assert.match(await says({}), /root is missing/)
  })

  it('should hold nothing of the gateway itself', async () => {
    const yaml = (root: string, more = '') =>
      `listen: [{ port: 443 }]\n${more}sites: [{ host: a.test, certificate: local, routes: [{ files: { root: ${root} } }] }]\n`
    const warnings = async (text: string) => {
      const { warnings } = await load(text, {}, { 'public/index.html': 'x' })
      return warnings.map(({ message }) => message).join()
    }
    assert.match(await warnings(yaml('.')), /is served, and with it .*sallyport\.yaml/)
    assert.match(await warnings(yaml('public', 'state: public/state\n')), /with it .*public\/state/)
    assert.equal(await warnings(yaml('public')), '')
    assert.equal(await warnings(yaml('public', 'state: public/.state\n')), '')
  })
})
