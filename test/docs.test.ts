/** The pages are true where a machine can tell: links lead somewhere, and whole configurations are valid. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { demoConfig, exampleBackends } from '../examples/demo/config.ts'
import { errorTable } from '../src/base/errors.ts'
import { loadConfig } from '../src/config/load.ts'
import { temporaryFolder } from './harness/certificates.ts'

const root = path.resolve(import.meta.dirname, '..')
const pages = readdirSync(root, { recursive: true })
  .map(String)
  .filter(file => file.endsWith('.md') && !/node_modules|^dist|^test\/vectors/.test(file))
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')

describe('every page', () => {
  it('was found', () => assert.ok(pages.length > 10, pages.join()))
  for (const page of pages) {
    it(`${page}: its links lead somewhere`, () => {
      for (const [, target] of read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)) {
        assert.ok(existsSync(path.join(root, path.dirname(page), target as string)), `${page} -> ${target}`)
      }
    })
    for (const [index, found] of [...read(page).matchAll(/```yaml\n([\s\S]*?)```/g)].entries()) {
      const value = found[1] as string
      // Whole configurations only; files and features that the page is about are not here.
      if (!/^listen:/m.test(value) || !/^sites:/m.test(value)) continue
      it(`${page}: its configuration ${index + 1} is valid`, async () => {
        const folder = temporaryFolder('sallyport-docs-')
        writeFileSync(path.join(folder, 'sallyport.yaml'), value)
        for (const [, file] of value.matchAll(/([\w-]+\.(?:pem|key|html))/g))
          writeFileSync(path.join(folder, file as string), '')
        for (const [, root] of value.matchAll(/\broot: \.\/(\w+)/g))
          mkdirSync(path.join(folder, root as string), { recursive: true })
        await loadConfig({ cwd: folder })
      })
    }
  }
})

describe('every example', () => {
  it('mutual-tls is a valid configuration, once its CA was made', async () => {
    const folder = temporaryFolder('sallyport-docs-')
    writeFileSync(path.join(folder, 'sallyport.yaml'), read('examples/mutual-tls/sallyport.yaml'))
    writeFileSync(path.join(folder, 'clients.pem'), '')
    assert.equal((await loadConfig({ cwd: folder })).config.sites[0]?.clients?.mode, 'optional')
  })

  it('acme is a valid configuration for a name and an e-mail address, and nothing is to be warned of', async () => {
    const folder = temporaryFolder('sallyport-docs-')
    const env = { DOMAIN: 'shop.example.com', EMAIL: 'ops@example.com' }
    writeFileSync(path.join(folder, 'sallyport.yaml'), read('examples/acme/sallyport.yaml'))
    const { config, warnings } = await loadConfig({ cwd: folder, env })
    assert.deepEqual(config.sites[0]?.hosts, ['shop.example.com'])
    assert.equal(config.acme?.issuers[0]?.directory, 'https://acme-v02.api.letsencrypt.org/directory')
    assert.deepEqual(warnings, [])
  })

  it('demo is a valid configuration', async () => {
    const folder = temporaryFolder('sallyport-docs-')
    writeFileSync(path.join(folder, 'ca.pem'), '')
    const value = demoConfig(8443, folder, path.join(folder, 'ca.pem'), exampleBackends)
    assert.equal((await loadConfig({ value })).config.sites.length, 4)
  })

  for (const name of ['edge', 'bridge', 'passthrough', 'tcp', 'grpc', 'typescript']) {
    it(`${name} is a valid configuration`, async () => {
      const folder = path.join(root, 'examples', name)
      const { config } = await loadConfig({ cwd: folder })
      assert.equal(config.sites.length, 1)
    })
  }
})

it('docs/errors.md has a row for each error', () => {
  const page = read('docs/errors.md')
  for (const code of Object.keys(errorTable)) assert.ok(page.includes(`\`${code}\``), code)
})
