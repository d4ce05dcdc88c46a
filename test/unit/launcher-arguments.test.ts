/** The arguments that the launcher starts a gateway with: the runtime takes them, and Node's heap may grow before it is marked. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { runtime } from '../../src/base/runtime.ts'

type Found = { readonly binary: string; readonly args: readonly string[]; readonly serving: readonly string[] }
// Plain JavaScript without types, which must run before anything is installed.
const launcher: { findRuntime(wanted: string): Found } = await import(
  new URL('../../bin/runtime.mjs', import.meta.url).href
)

test('the runtime starts with the arguments of a gateway', () => {
  const { binary, args, serving } = launcher.findRuntime(runtime.name)
  // On Node, reads of 64 kB would otherwise have V8 mark the whole heap ten times a second.
  assert.equal(
    serving.some(word => word.startsWith('--initial-heap-size=')),
    runtime.name === 'node',
  )
  const { status, stdout, stderr } = spawnSync(binary, [...args, ...serving, '-e', 'console.log(6 * 7)'], {
    encoding: 'utf8',
  })
  assert.deepEqual([status, stdout.trim()], [0, '42'], stderr)
})
