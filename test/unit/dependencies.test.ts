/** What is installed beside our own code: pinned, hashed, and without a script that npm would run. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'

const root = path.resolve(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')

type Package = {
  readonly integrity?: string
  readonly resolved?: string
  readonly dev?: boolean
  readonly hasInstallScript?: boolean
}
type Manifest = Readonly<
  Record<'dependencies' | 'optionalDependencies' | 'devDependencies' | 'scripts', Record<string, string>>
>

describe('dependencies', () => {
  const manifest = JSON.parse(read('package.json')) as Manifest

  it('are pinned with their hashes', () => {
    // Types have no code: whoever uses ours brings those of the runtime.
    for (const kind of ['dependencies', 'optionalDependencies', 'devDependencies'] as const)
      for (const [name, version] of Object.entries(manifest[kind]))
        if (name !== '@types/node') assert.match(version, /^\d+\.\d+\.\d+$/, name)
    for (const file of ['package-lock.json', 'test/runtime/package-lock.json']) {
      const { packages } = JSON.parse(read(file)) as { packages: Record<string, Package> }
      for (const [name, { integrity, resolved }] of Object.entries(packages)) {
        if (name === '') continue
        assert.match(integrity ?? '', /^sha512-/, `${file}: ${name}`)
        assert.match(
          resolved ?? 'https://registry.npmjs.org/',
          /^https:\/\/registry\.npmjs\.org\//,
          `${file}: ${name}`,
        )
      }
    }
  })

  it('run nothing at install time', () => {
    assert.match(read('.npmrc'), /^ignore-scripts=true$/m)
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare'])
      assert.equal(manifest.scripts[name], undefined, name)
    // Whoever installs the package as a dependency has no .npmrc of ours.
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Package> }
    for (const [name, { dev, hasInstallScript }] of Object.entries(packages))
      if (dev !== true) assert.notEqual(hasInstallScript, true, name)
  })
})
