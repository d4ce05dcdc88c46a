// `npm start`: installs what is missing and starts the demo of examples/demo.
import { spawn } from 'node:child_process'
import path from 'node:path'
import { findRuntime } from '../bin/runtime.mjs'
import { ensureInstalled, root } from './install.mjs'

ensureInstalled(root, { dev: false })
const at = process.argv.indexOf('--runtime')
const runtime = findRuntime(at > 0 ? process.argv[at + 1] : undefined)
if ('error' in runtime) {
  console.error(runtime.error)
  process.exit(2)
}
const child = spawn(runtime.binary, [...runtime.args, path.join(root, 'examples/demo/main.ts')], {
  stdio: 'inherit',
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)))
