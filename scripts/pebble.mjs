// Pebble, Let's Encrypt's ACME server for tests, of a version that has renewal information (RFC 9773) and profiles. Debian
// 12's own package has neither; the binaries of later releases run there as well, so one is unpacked beside the other
// packages of the tests. The one of Debian 13 has no profiles: what needs them is then tried with those of the default.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { root } from './install.mjs'

/** Debian's releases, the best first. */
const suites = ['forky', 'trixie']
const folder = path.join(root, 'node_modules', '.pebble')
const binary = suite => path.join(folder, suite, 'usr/bin/pebble')

/** The binary's path, or null: `pebble-challtestsrv` is beside it. */
export function pebble() {
  return suites.map(binary).find(file => existsSync(file)) ?? null
}

/** Fetches it where it is missing. @returns whether it is there now */
export function ensurePebble() {
  if (pebble()) return true
  if (process.platform !== 'linux' || !existsSync(keyring)) return false
  return suites.some(unpack)
}

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

function unpack(suite) {
  console.error(`unpacking pebble of Debian ${suite}`)
  const work = mkdtempSync(path.join(os.tmpdir(), 'sallyport-pebble-'))
  try {
    // A package list of its own: the machine's own sources stay as they are.
    mkdirSync(path.join(work, 'lists/partial'), { recursive: true })
    writeFileSync(
      path.join(work, 'sources'),
      `deb [signed-by=${keyring}] http://deb.debian.org/debian ${suite} main\n`,
    )
    const settings = [
      `Dir::Etc::SourceList=${work}/sources`,
      'Dir::Etc::SourceParts=-',
      `Dir::State::Lists=${work}/lists`,
      'Dir::Cache::pkgcache=',
      'Dir::Cache::srcpkgcache=',
      ...(process.getuid?.() === 0 ? ['APT::Sandbox::User=root'] : []),
    ].flatMap(setting => ['-o', setting])
    const run = (command, args) => spawnSync(command, args, { cwd: work, stdio: ['ignore', 2, 2] }).status === 0
    if (!run('apt-get', [...settings, '-qq', 'update'])) return false
    if (!run('apt-get', [...settings, '-qq', 'download', `pebble/${suite}`])) return false
    const file = readdirSync(work).find(name => name.endsWith('.deb'))
    if (!file || !run('dpkg-deb', ['-x', file, 'unpacked'])) return false
    // Made for a later system: the C library of this one may be too old for it.
    if (!['pebble', 'pebble-challtestsrv'].every(name => starts(path.join(work, 'unpacked/usr/bin', name))))
      return false
    mkdirSync(folder, { recursive: true })
    if (!run('cp', ['-a', 'unpacked', path.join(folder, suite)])) return false
    return pebble() !== null
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function starts(file) {
  return `${spawnSync(file, ['-help'], { encoding: 'utf8' }).stderr}`.includes('Usage of')
}
