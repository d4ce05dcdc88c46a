// Pebble, Let's Encrypt's ACME server for tests, of a version that has renewal information (RFC 9773). Debian 12's own
// package is older; the binary in Debian 13's runs there as well, so it is unpacked beside the other packages of the tests.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { root } from './install.mjs'

const folder = path.join(root, 'node_modules', '.pebble')

/** The binary's path, or null: `pebble-challtestsrv` is beside it. */
export function pebble() {
  const file = path.join(folder, 'usr/bin/pebble')
  return existsSync(file) ? file : null
}

/** Fetches it where it is missing. @returns whether it is there now */
export function ensurePebble() {
  if (pebble()) return true
  if (process.platform !== 'linux' || !existsSync('/usr/share/keyrings/debian-archive-keyring.gpg')) return false
  console.error('unpacking pebble of Debian 13')
  const work = mkdtempSync(path.join(os.tmpdir(), 'sallyport-pebble-'))
  try {
    // A package list of its own: the machine's own sources stay as they are.
    mkdirSync(path.join(work, 'lists/partial'), { recursive: true })
    const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
    writeFileSync(
      path.join(work, 'sources'),
      `deb [signed-by=${keyring}] http://deb.debian.org/debian trixie main\n`,
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
    if (!run('apt-get', [...settings, '-qq', 'download', 'pebble/trixie'])) return false
    const file = readdirSync(work).find(name => name.endsWith('.deb'))
    if (!file || !run('dpkg-deb', ['-x', file, 'unpacked'])) return false
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(path.dirname(folder), { recursive: true })
    if (!run('cp', ['-a', 'unpacked', folder])) return false
    return pebble() !== null
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
