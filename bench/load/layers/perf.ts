/**
 * Where the CPU time of a proxy's processes is spent, by `perf`: samples by the file that the code is in. Finer than that
 * it is not, since Bun's binary carries no symbols.
 */
import { run } from '../processes.ts'

/** Numbers of samples */
export type Samples = {
  readonly kernel: number
  /** In libssl and libcrypto; runtimes have their TLS library within their binary, and none of these */
  readonly tlsLibrary: number
  /** JavaScript, compiled while it ran */
  readonly compiled: number
  /** Everything else: the binary itself, the C library */
  readonly native: number
}

export type PerfRun = {
  readonly core: number
  readonly pids: readonly number[]
  readonly seconds: number
  /** Where perf keeps its samples */
  readonly file: string
}

const perSecond = 1999

export async function sampleProcesses({ core, pids, seconds, file }: PerfRun): Promise<Samples> {
  const target = ['-p', pids.join(','), '-o', file, '--', 'sleep', String(seconds)]
  // Virtual machines often have no hardware counters: the kernel's own timer samples everywhere.
  const recorded = await run({
    core,
    command: ['perf', 'record', '-q', '-e', 'cpu-clock', '-F', String(perSecond), ...target],
  })
  if (recorded.status !== 0)
    throw new Error(`perf record failed (root, or kernel.perf_event_paranoid below 2?): ${recorded.stderr.trim()}`)
  const listed = await run({ core, command: ['perf', 'script', '-i', file, '-F', 'ip,dso'] })
  if (listed.status !== 0) throw new Error(`perf script failed: ${listed.stderr.trim()}`)
  return countSamples(listed.stdout)
}

/** Of `perf script -F ip,dso`: an address and a file in parentheses on each line */
export function countSamples(text: string): Samples {
  const samples = { kernel: 0, tlsLibrary: 0, compiled: 0, native: 0 }
  for (const line of text.split('\n')) {
    const file = /\(([^)]*)\)\s*$/.exec(line)?.[1]
    if (file === undefined) continue
    if (/^\[(kernel|guest)/.test(file)) samples.kernel++
    else if (/lib(ssl|crypto)[-.]/.test(file)) samples.tlsLibrary++
    else if (/^(\/tmp\/perf-\d+\.map|\/\/anon|\[unknown\]|\/memfd:.*)$/.test(file)) samples.compiled++
    else samples.native++
  }
  return samples
}
