// Installs what a fresh checkout lacks. Plain JavaScript: it runs on Node 20, before anything is installed.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import path from 'node:path'

export const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '..')

/**
 * Runs `npm install` in `folder` unless its node_modules is newer than its lock file.
 * Output goes to standard error, so that a command's own standard output stays clean.
 */
export function ensureInstalled(folder, { dev }) {
  const marker = path.join(folder, 'node_modules', '.package-lock.json')
  const lock = path.join(folder, 'package-lock.json')
  const complete = !dev || folder !== root || existsSync(path.join(folder, 'node_modules', 'typescript'))
  if (existsSync(marker) && complete && statSync(marker).mtimeMs >= statSync(lock).mtimeMs) return
  console.error(
    `installing dependencies in ${path.relative(process.cwd(), folder) || '.'} (no install scripts are run)`,
  )
  // Not `ci`: it fails where a registry lacks the optional packages of another platform. The lock file is kept to, and
  // not written.
  const args = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  if (!dev) args.push('--omit=dev')
  const done = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 2, 2] })
  if (done.status !== 0) {
    console.error(
      'npm install failed: see above. A network connection to your npm registry is needed the first time.',
    )
    process.exit(1)
  }
}
