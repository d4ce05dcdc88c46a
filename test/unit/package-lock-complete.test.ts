/** The lock file names the packages of every platform: npm adds what is missing, and a fresh clone is changed by its install. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

type Package = {
  readonly version?: string
  readonly integrity?: string
  readonly resolved?: string
  readonly os?: readonly string[]
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const root = path.resolve(import.meta.dirname, '../..')

for (const lock of ['package-lock.json', 'test/runtime/package-lock.json']) {
  const { packages } = JSON.parse(readFileSync(path.join(root, lock), 'utf8')) as {
    packages: Record<string, Package>
  }

  test(`${lock} has an entry for every optional dependency of every package`, () => {
    const missing: string[] = []
    for (const [place, { optionalDependencies = {} }] of Object.entries(packages)) {
      for (const [name, version] of Object.entries(optionalDependencies)) {
        const entry = packages[`${place}/node_modules/${name}`] ?? packages[`node_modules/${name}`]
        const whole = entry?.version === version && entry.integrity !== undefined && entry.os !== undefined
        if (!whole) missing.push(`${name}@${version} of ${place || 'the project'}`)
      }
    }
    assert.deepEqual(missing, [])
  })

  test(`${lock} names no registry, so that any mirror will do`, () => {
    assert.deepEqual(
      Object.entries(packages).filter(([, { resolved }]) => resolved !== undefined),
      [],
    )
  })
}
