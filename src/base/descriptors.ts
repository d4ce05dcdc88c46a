/** File descriptors of this process: how many it may open, and how many it has open. Only Linux says. */
import { readdirSync, readFileSync } from 'node:fs'

/** The soft limit (RLIMIT_NOFILE), or null where it is unknown. Both runtimes raise it to the hard one as they start. */
export function descriptorLimit(): number | null {
  try {
    const found = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    if (found === null) return null
    return found[1] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(found[1])
  } catch {
    return null
  }
}

/** Open now; 0 where it is unknown. */
export function openDescriptors(): number {
  try {
    // One of them reads the folder.
    return readdirSync('/proc/self/fd').length - 1
  } catch {
    return 0
  }
}
