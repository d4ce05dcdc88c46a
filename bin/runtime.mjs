// Finds the binary that runs the TypeScript source: the Bun that npm put beside us, or a Node of 24 or later.
// Plain JavaScript for Node 20, and no imports from node_modules.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const source = path.join(root, 'src', 'cli', 'main.ts')

/** What the launcher runs: the source in a checkout, the compiled JavaScript in an installed package. */
export const main = existsSync(source) ? source : path.join(root, 'dist', 'cli', 'main.js')

/** In a checkout `import 'sallyport'` means the source: nothing has to be built first. */
export const conditions = main === source ? ['--conditions=sallyport-source'] : []

/** The npm packages that carry Bun for this machine, the likelier first. */
function bunPackages() {
  const cpu = process.arch === 'arm64' ? 'aarch64' : process.arch
  const name = `@oven/bun-${process.platform}-${cpu}`
  if (process.platform !== 'linux') return [name]
  const musl = !process.report?.getReport?.().header?.glibcVersionRuntime
  return musl ? [`${name}-musl`, name] : [name, `${name}-musl`]
}

/** @returns {string | null} the path of the Bun binary from our optional dependency */
export function findBun() {
  for (const name of bunPackages()) {
    try {
      const file = path.join(path.dirname(require.resolve(`${name}/package.json`)), 'bin', 'bun')
      if (existsSync(file)) return file
    } catch {
      // Not installed for this platform: try the next.
    }
  }
  return null
}

/** @returns {string | null} a Node that runs us and a configuration in TypeScript (24 or later): the one we run on, if it can */
export function findNode() {
  return Number(process.versions.node.split('.')[0]) >= 24 ? process.execPath : null
}

/**
 * For a process that serves on Node, in MB: the heap may have this much before V8 marks it. The buffers of what sockets read
 * count as if they were in the heap. With V8's own first limit, bodies of 1 MB make it mark everything some ten times
 * a second, which is half of what they cost (docs/where-the-time-goes.md); the resident set grows by a few MB.
 */
const initialHeapMb = 128

/**
 * @param {string | undefined} wanted `bun`, `node`, or undefined for the default
 * @returns {{ binary: string, args: string[], serving: string[] } | { error: string }} `serving` are further arguments of a
 *   process that serves
 */
export function findRuntime(wanted) {
  if (wanted !== undefined && wanted !== 'bun' && wanted !== 'node') {
    return { error: `--runtime takes bun or node, not '${wanted}'` }
  }
  if (wanted !== 'node') {
    const bun = findBun()
    if (bun) return { binary: bun, args: conditions, serving: [] }
    if (wanted === 'bun') {
      return {
        error:
          process.platform === 'win32'
            ? 'on Windows Sallyport runs on Node: leave --runtime bun out'
            : `no Bun for ${process.platform}-${process.arch}: run 'npm install' (it is an optional dependency)`,
      }
    }
  }
  const node = findNode()
  if (node) {
    // Whoever may send signals could open Node's inspector with SIGUSR1, and with it run code in the gateway.
    const args = ['--disable-warning=ExperimentalWarning', '--disable-sigusr1', ...conditions]
    return { binary: node, args, serving: [`--initial-heap-size=${initialHeapMb}`] }
  }
  return {
    error: `--runtime node needs Node 24 or later, this is ${process.versions.node}${
      wanted === 'node' ? '' : "; and no Bun is installed: run 'npm install'"
    }`,
  }
}
