/**
 * Identifies the process that owns a lock or a temporary file, and tells whether it is still running.
 *
 * A process is identified by its pid and its start time (field 22 of /proc/PID/stat, proc(5)), because pids are
 * reused. This works only in the same pid namespace of the same boot. `where` is a
 * hash of those; for any other value the result is "unknown", and only the lease decides. Without /proc (macOS) the host
 * name identifies the machine, and a reused pid counts as alive until its lease expires.
 */
import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import os from 'node:os'

export type ProcessIdentity = {
  /** 16 hex digits */
  readonly where: string
  readonly pid: number
  /** `0` if it is not known */
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

/** Null if it cannot be known from here. */
export function isDead(other: ProcessIdentity, self: ProcessIdentity): boolean | null {
  if (other.where !== self.where) return null
  try {
    process.kill(other.pid, 0)
  } catch (error) {
    // EPERM: it exists and belongs to another user.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true
  }
  // Null with hidepid or without /proc.
  const stat = statOf(other.pid)
  if (stat === null) return false
  // A zombie has ended, even if its parent never reaps it (as often in containers).
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
    // The second field is the program's name in parentheses, which may contain anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [state, start] = [fields[0], fields[19]]
    return state !== undefined && start !== undefined && /^[0-9]+$/.test(start) ? { state, start } : null
  } catch {
    return null
  }
}
