/**
 * CPU time and resident set of a process and all its descendants, and how busy a core was, from /proc.
 *
 * The kernel scales user and system time so that their sum is exact; it is shown in ticks of 10 ms, so a window of
 * some seconds is good to a fraction of a percent. Time of descendants that have died and been waited for is included
 * (cutime, cstime), so a worker that is replaced does not hide its work.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ: part of the kernel's ABI, 100 on every architecture that Bun runs on. */
const ticksPerSecond = 100

type ProcessStat = { readonly pid: number; readonly parent: number; readonly ticks: number }

export type CoreTimes = { readonly busy: number; readonly all: number }

function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null // the process ended between two reads
  }
}

function readStat(pid: number): ProcessStat | null {
  const text = readOrNull(`/proc/${pid}/stat`)
  if (text === null) return null
  // The command's name is in parentheses and may hold anything, so fields are counted from the last one (proc(5)).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14])
  return { pid, parent: Number(fields[1]), ticks }
}

/** The process and all its descendants that are alive. */
function processTree(root: number): ProcessStat[] {
  const byParent = new Map<number, ProcessStat[]>()
  const tree: ProcessStat[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = readStat(Number(name))
    if (stat === null) continue
    if (stat.pid === root) tree.push(stat)
    const siblings = byParent.get(stat.parent)
    if (siblings) siblings.push(stat)
    else byParent.set(stat.parent, [stat])
  }
  for (let at = 0; at < tree.length; at++) tree.push(...(byParent.get(tree[at].pid) ?? []))
  return tree
}

export const processIds = (root: number): number[] => processTree(root).map(({ pid }) => pid)

/** Microseconds of user and system time, of the whole tree since it was started. */
export function treeCpuUs(root: number): number {
  let ticks = 0
  for (const stat of processTree(root)) ticks += stat.ticks
  return (ticks * 1e6) / ticksPerSecond
}

/** The same of each process that is alive, by process id */
export function cpuUsByProcess(root: number): Map<number, number> {
  return new Map(processTree(root).map(({ pid, ticks }) => [pid, (ticks * 1e6) / ticksPerSecond]))
}

/** Memory of the whole tree in MB, pages that several processes share counted once. */
export function treeMemoryMb(root: number): number {
  let kb = 0
  for (const { pid } of processTree(root)) {
    const text = readOrNull(`/proc/${pid}/smaps_rollup`) ?? ''
    kb += Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0)
  }
  return kb / 1024
}

/** Resident set of the whole tree, in kB. Pages shared by two processes count twice, before and after alike. */
export function treeResidentKb(root: number): number {
  let kb = 0
  for (const { pid } of processTree(root)) {
    // smaps_rollup is exact; VmRSS lags by up to 64 pages per core.
    const text = readOrNull(`/proc/${pid}/smaps_rollup`) ?? readOrNull(`/proc/${pid}/status`) ?? ''
    kb += Number(/^(?:Rss|VmRSS):\s+(\d+) kB/m.exec(text)?.[1] ?? 0)
  }
  return kb
}

export function coreTimes(core: number): CoreTimes {
  const line = readFileSync('/proc/stat', 'utf8')
    .split('\n')
    .find(text => text.startsWith(`cpu${core} `))
  if (line === undefined) throw new Error(`/proc/stat has no cpu${core}`)
  const [user, nice, system, idle, wait, irq, softirq, steal] = line.split(/\s+/).slice(1).map(Number)
  const busy = user + nice + system + irq + softirq + steal
  return { busy, all: busy + idle + wait }
}

/** Share of the time between two readings that the core was busy, 0 to 1. */
export function busyShare(before: CoreTimes, after: CoreTimes): number {
  const all = after.all - before.all
  return all === 0 ? 0 : (after.busy - before.busy) / all
}
