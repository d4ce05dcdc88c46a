// The suite on Node: a few processes that are handed one file after another, so that they load the gateway's modules once
// and not once for each file. Files that look at their own process, or change it for all that is in it, get one of their own.
import { spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { conditions, findBun } from '../bin/runtime.mjs'
import { root } from './install.mjs'

const cache = path.join(root, 'node_modules/.cache')
const runner = path.join(root, 'scripts/suite-process.mjs')
/** So many files, then a fresh process: what a file leaves behind does not add up. */
const filesOfAProcess = 24
/** Sockets that are closing may take their time; a process that has not ended by then holds something that no test closed. */
const endMs = 60_000
const ownProcess = /process\.(memoryUsage|chdir|umask|env\[[^\]]+\] = )/

/**
 * @param {{ binary: string, files: string[], jobs: number, fileMs: number, env: NodeJS.ProcessEnv }} options a file that takes
 *   longer than `fileMs` stands still
 * @returns {Promise<{ reports: string[], problems: string[] }>} JUnit reports, and what went wrong beside tests
 */
export async function runOnNode({ binary, files, jobs, fileMs, env: given }) {
  // A test starts hundreds of processes: what they compile is kept, and they do not load a few hundred modules each.
  const env = { ...given, NODE_COMPILE_CACHE: path.join(cache, 'node-compile'), ...bundled() }
  const [alone, together] = [[], []]
  for (const file of slowFirst(files))
    (ownProcess.test(readFileSync(path.join(root, file), 'utf8')) ? alone : together).push(file)
  const reports = []
  const problems = []
  const work = async () => {
    for (;;) {
      const first = alone.shift()
      const rest = first === undefined ? together : []
      const file = first ?? together.shift()
      if (file === undefined) return
      const report = path.join(os.tmpdir(), `sallyport-node-${process.pid}-${reports.length}.xml`)
      reports.push(report)
      problems.push(...(await runProcess({ binary, report, file, rest, fileMs, env })))
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  process.stdout.write('\n')
  return { reports, problems }
}

/** The command line in a few files, from the same source. They stand where '../../package.json' is the gateway's. */
function bundled() {
  const folder = path.join(root, 'node_modules/.bundle')
  const words = ['build', ...conditions, '--target=node', '--packages=external', '--splitting']
  const names = ['--entry-naming=[name].mjs', '--chunk-naming=[name]-[hash].mjs']
  const args = [...words, ...names, '--outdir', folder, 'src/cli/main.ts']
  if (spawnSync(findBun() ?? 'bun', args, { cwd: root }).status !== 0) return {}
  // Those of earlier sources: not all, since another run may be using them.
  const anHourAgo = Date.now() - 3_600_000
  for (const file of readdirSync(folder).map(name => path.join(folder, name)))
    if (statSync(file).mtimeMs < anHourAgo) rmSync(file)
  return { SALLYPORT_TEST_MAIN: path.join(folder, 'main.mjs') }
}

const slowest = ['interop', 'storage', 'gateway', 'long']

/** Real peers take the longest: begun first, they are not what the others wait for at the end. */
export function slowFirst(files) {
  const rank = file => (slowest.findIndex(folder => file.includes(`/${folder}/`)) + 9) % 9
  return files.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
}

/** Runs `file` and then what it takes from `rest`, until that is empty or the process has had enough. @returns problems */
function runProcess({ binary, report, file, rest, fileMs, env }) {
  const args = ['--disable-warning=ExperimentalWarning', ...conditions, `--test-timeout=${fileMs}`]
  args.push('--test-reporter=junit', `--test-reporter-destination=${report}`)
  args.push('--test-reporter=dot', '--test-reporter-destination=stdout', runner)
  const child = spawn(binary, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const had = []
  let problem = null
  let over = false
  let watch
  const deal = () => {
    clearTimeout(watch)
    const next = had.length === 0 ? file : had.length < filesOfAProcess ? rest.shift() : undefined
    if (next === undefined) {
      over = true
      const last = `after ${had.join(', ')}`
      watch = giveUp(endMs, `a process on Node did not end by itself: something was left open ${last}`)
      child.disconnect()
      return
    }
    had.push(next)
    watch = giveUp(fileMs + endMs, `${next} stands still on Node`)
    child.send(next)
  }
  const giveUp = (ms, why) =>
    setTimeout(() => {
      problem = why
      child.kill('SIGKILL')
    }, ms)
  child.on('message', deal)
  return new Promise(resolve => {
    child.on('error', error => resolve([`Node: ${error.message}`]))
    // Not 'close', which does not come where the channel was closed from here.
    child.on('exit', (code, signal) => {
      clearTimeout(watch)
      // 1: a test failed, which the report tells.
      if (problem === null && (!over || (code !== 0 && code !== 1)))
        problem = `a process on Node ended with ${code ?? signal} in ${had.at(-1)}`
      resolve(problem === null ? [] : [problem])
    })
  })
}
