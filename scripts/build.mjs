// `npm run build`: compiles src/ to dist/ as JavaScript with type declarations and source maps. The published package runs
// from there, since Node does not strip types from files below node_modules; a checkout runs the source as it is.
import { spawnSync } from 'node:child_process'
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ensureInstalled, root } from './install.mjs'

ensureInstalled(root, { dev: true })
const dist = path.join(root, 'dist')
rmSync(dist, { recursive: true, force: true })
const tsc = path.join(root, 'node_modules/.bin/tsc')
const done = spawnSync(tsc, ['--project', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
if (done.status !== 0) process.exit(done.status ?? 1)

// The compiler rewrites import paths in JavaScript only; declarations would go on naming .ts files that are not there.
for (const entry of readdirSync(dist, { recursive: true })) {
  const file = path.join(dist, String(entry))
  if (!file.endsWith('.d.ts')) continue
  const text = readFileSync(file, 'utf8')
  const rewritten = text.replace(/((?:from|import)\s*\(?\s*['"]\.{1,2}\/[^'"]*)\.ts(['"])/g, '$1.js$2')
  if (rewritten !== text) writeFileSync(file, rewritten)
}
chmodSync(path.join(root, 'bin/sallyport'), 0o755)
console.log('built dist/')
