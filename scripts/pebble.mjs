// Pebble, Let's Encrypt's ACME server for tests, of a version that has renewal information (RFC 9773) and profiles. Debian
// 12's own package has neither; the binaries of later releases run there as well, so one is unpacked beside the other
// packages of the tests. The one of Debian 13 has no profiles: what needs them is then tried with those of the default.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { suites, unpackDebian } from './debian.mjs'
import { root } from './install.mjs'

const folderOf = suite => path.join(root, 'node_modules', '.pebble', suite)
const binary = suite => path.join(folderOf(suite), 'usr/bin/pebble')

/** The binary's path, or null: `pebble-challtestsrv` is beside it. */
export function pebble() {
  return suites.map(binary).find(file => existsSync(file)) ?? null
}

/** Fetches it where it is missing. @returns whether it is there now */
export function ensurePebble() {
  if (pebble()) return true
  return suites.some(suite =>
    unpackDebian({
      suite,
      packages: ['pebble'],
      folder: folderOf(suite),
      // Made for a later system: the C library of this one may be too old for it.
      works: unpacked =>
        ['pebble', 'pebble-challtestsrv'].every(name => starts(path.join(unpacked, 'usr/bin', name))),
    }),
  )
}

function starts(file) {
  return `${spawnSync(file, ['-help'], { encoding: 'utf8' }).stderr}`.includes('Usage of')
}
