// `node scripts/with-bun.mjs FILE [ARGS]`: installs what is missing and runs FILE on the Bun of our optional dependency.
import { spawn } from 'node:child_process'
import { findRuntime } from '../bin/runtime.mjs'
import { ensureInstalled, root } from './install.mjs'

ensureInstalled(root, { dev: true })
const runtime = findRuntime('bun')
if ('error' in runtime) {
  console.error(runtime.error)
  process.exit(1)
}
const child = spawn(runtime.binary, [...runtime.args, ...process.argv.slice(2)], { stdio: 'inherit', cwd: root })
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)))
