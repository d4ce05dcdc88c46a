/** Memory per idle TLS connection: the growth of the proxy's resident set over N of them. */
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { treeResidentKb } from './cpu.ts'
import { startPiped } from './processes.ts'

export type IdleLoad = {
  readonly core: number
  readonly port: number
  readonly ca: string
  readonly path: string
  readonly connections: number
}

export type IdleRun = IdleLoad & {
  /** Process id of the proxy */
  readonly pid: number
}

export type IdleResult = {
  readonly kbPerConnection: number
  readonly remark: string
  readonly problems: readonly string[]
}

export type OpenConnections = {
  /** Closes them; what is wrong if some were not opened, or are not open any more */
  close(): Promise<readonly string[]>
}

/** Time for a collector or an allocator to give back what it will. */
const settleMs = 1500

/** Resolves when all are open, and one request was answered on each. */
export async function openIdle({ core, port, ca, path, connections }: IdleLoad): Promise<OpenConnections> {
  const script = fileURLToPath(new URL('idle-client.ts', import.meta.url))
  const command = [process.execPath, script, String(port), ca, String(connections), path]
  const client = startPiped({ core, command })
  if (client.stdout === null) throw new Error('the idle client has no standard output')
  const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]()
  const opened = await lines.next()
  return {
    async close() {
      client.stdin?.end()
      const kept = await lines.next()
      if (opened.value !== `open ${connections}`)
        return [`${connections} connections wanted, ${opened.value ?? 'client failed'}`]
      if (kept.value !== `kept ${connections}`)
        return [`${connections} connections opened, ${kept.value} at the end`]
      return []
    },
  }
}

export async function measureIdle({ pid, ...load }: IdleRun): Promise<IdleResult> {
  await wait(settleMs)
  const beforeKb = treeResidentKb(pid)
  const connections = await openIdle(load)
  await wait(settleMs)
  const afterKb = treeResidentKb(pid)
  return {
    kbPerConnection: (afterKb - beforeKb) / load.connections,
    remark: `${(beforeKb / 1024).toFixed(1)} -> ${(afterKb / 1024).toFixed(1)} MB`,
    problems: await connections.close(),
  }
}
