/**
 * Which process left a lock or a temporary file behind, and whether it is still there.
 *
 * A process is told by its pid and the tick it was started at (field 22 of /proc/PID/stat, proc(5)), since pids come
 * again. That says something only where the pids are ours: same boot of the same kernel, same pid namespace. `where` is a
 * hash of those; for any other the answer is "cannot be known", and a lease has to do. Without /proc (macOS) the host's
 * name stands for the machine, and a pid that has come again counts as alive until its lease has ended.
 */
import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import os from 'node:os'

export type ProcessIdentity = {
  /** 16 hex digits */
  readonly where: string
  readonly pid: number
  /** `0` where it is not known */
  readonly start: string
}

export function thisProcess(): ProcessIdentity {
  return { where: whereWeAre(), pid: process.pid, start: statOf(process.pid)?.start ?? '0' }
}

/** Without spaces or slashes; for file names and files. */
export function formatIdentity({ where, pid, start }: ProcessIdentity): string {
  return `${where}.${pid}.${start}`
}

export function parseIdentity(text: string): ProcessIdentity | null {
  const found = /^([0-9a-f]{16})\.([1-9][0-9]{0,9})\.([0-9]{1,20})$/.exec(text)
  return found ? { where: found[1]!, pid: Number(found[2]), start: found[3]! } : null
}

/** Null: it cannot be known from here. */
export function isDead(other: ProcessIdentity, self: ProcessIdentity): boolean | null {
  if (other.where !== self.where) return null
  try {
    process.kill(other.pid, 0)
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true
  }
  // Null with hidepid, and without /proc.
  const stat = statOf(other.pid)
  if (stat === null) return false
  // A zombie runs no more, however long its parent takes to notice (in a container often for ever).
  if (stat.state === 'Z' || stat.state === 'X') return true
  return other.start !== '0' && stat.start !== other.start
}

function whereWeAre(): string {
  let place: string
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    place = `${boot} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    place = `${os.platform()} ${os.hostname()}`
  }
  return createHash('sha256').update(place).digest('hex').slice(0, 16)
}

function statOf(pid: number): { state: string; start: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the program's name in parentheses, and may hold anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [state, start] = [fields[0], fields[19]]
    return state !== undefined && start !== undefined && /^[0-9]+$/.test(start) ? { state, start } : null
  } catch {
    return null
  }
}
