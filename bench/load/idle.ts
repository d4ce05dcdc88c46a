/** Memory per idle TLS connection: the growth of the proxy's resident set over N of them. */
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { treeResidentKb } from './cpu.ts'
import { startPiped } from './processes.ts'

export type IdleRun = {
  readonly core: number
  readonly port: number
  readonly ca: string
  readonly path: string
  readonly connections: number
  /** Process id of the proxy */
  readonly pid: number
}

export type IdleResult = {
  readonly kbPerConnection: number
  readonly remark: string
  readonly problems: readonly string[]
}

/** Time for a collector or an allocator to give back what it will. */
const settleMs = 1500

export async function measureIdle({ core, port, ca, path, connections, pid }: IdleRun): Promise<IdleResult> {
  await wait(settleMs)
  const beforeKb = treeResidentKb(pid)
  const script = fileURLToPath(new URL('idle-client.ts', import.meta.url))
  const command = [process.execPath, script, String(port), ca, String(connections), path]
  const client = startPiped({ core, command })
  if (client.stdout === null) throw new Error('the idle client has no standard output')
  const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]()
  const opened = await lines.next()
  await wait(settleMs)
  const afterKb = treeResidentKb(pid)
  client.stdin?.end()
  const kept = await lines.next()
  const problems: string[] = []
  if (opened.value !== `open ${connections}`)
    problems.push(`${connections} connections wanted, ${opened.value ?? 'client failed'}`)
  else if (kept.value !== `kept ${connections}`)
    problems.push(`${connections} connections opened, ${kept.value} at the end`)
  return {
    kbPerConnection: (afterKb - beforeKb) / connections,
    remark: `${(beforeKb / 1024).toFixed(1)} -> ${(afterKb / 1024).toFixed(1)} MB`,
    problems,
  }
}
