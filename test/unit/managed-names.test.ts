/** Which site's certificates a name that was ordered on demand is one of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SiteConfig } from '../../src/config/config.ts'
import { seenNames } from '../../src/gateway/certificates/managed-names.ts'

const site = (hosts: readonly string[], more: Partial<SiteConfig> = {}): SiteConfig =>
  ({ name: hosts[0], hosts, default: false, ...more }) as SiteConfig

test('a name belongs to the site with the host, the wildcard above it, or the default one', () => {
  const names = ['a.shop.test', 'x.a.shop.test', 'own.shop.test', 'else.test']
  const sites = [site(['*.shop.test', 'shop.test']), site(['own.shop.test'])]
  const seen = seenNames([...sites, site(['any.test'], { default: true })], () => names)
  assert.deepEqual(seen('*.shop.test'), ['a.shop.test'])
  assert.deepEqual(seen('own.shop.test'), ['own.shop.test'])
  assert.deepEqual(seen('any.test'), ['x.a.shop.test', 'else.test'])
  assert.deepEqual(seen('no.test'), [])
  assert.deepEqual(seenNames(sites, () => names)('*.shop.test'), ['a.shop.test'])
})

test('ten thousand names are sorted once for a thousand sites, and again when there are others', () => {
  let names = Array.from({ length: 10_000 }, (_, at) => `n${at}.s${at % 1_000}.test`)
  const sites = Array.from({ length: 1_000 }, (_, at) => site([`*.s${at}.test`]))
  const seen = seenNames(sites, () => names)
  const first = sites.map(({ name }) => seen(name))
  assert.equal(first.flat().length, names.length)
  for (const [at, { name }] of sites.entries()) assert.equal(seen(name), first[at])
  names = ['new.s7.test']
  assert.deepEqual(seen('*.s7.test'), names)
  assert.deepEqual(seen('*.s8.test'), [])
})
