// Packages of a later Debian than the machine's, unpacked into a folder of their own: the machine's packages and its
// package lists stay as they are. Used for Pebble by the tests, and for the proxies that `npm run bench` compares.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/** Debian's releases, the best first. */
export const suites = ['forky', 'trixie']

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/**
 * Downloads `packages` of `suite` without what they depend on, and unpacks them into `folder`, unless `works` says no.
 * @param {{ suite: string, packages: readonly string[], folder: string, works: (unpacked: string) => boolean }} wanted
 * @returns {boolean} whether `folder` is there now
 */
export function unpackDebian({ suite, packages, folder, works }) {
  if (existsSync(folder)) return true
  if (process.platform !== 'linux' || !existsSync(keyring)) return false
  console.error(`unpacking ${packages[0]} of Debian ${suite}`)
  const work = mkdtempSync(path.join(os.tmpdir(), 'sallyport-debian-'))
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
    if (!run('apt-get', [...settings, '-qq', 'download', ...packages.map(name => `${name}/${suite}`)])) return false
    const files = readdirSync(work).filter(name => name.endsWith('.deb'))
    if (files.length < packages.length) return false
    if (!files.every(file => run('dpkg-deb', ['-x', file, 'unpacked']))) return false
    if (!works(path.join(work, 'unpacked'))) return false
    mkdirSync(path.dirname(folder), { recursive: true })
    return run('cp', ['-a', 'unpacked', folder])
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
