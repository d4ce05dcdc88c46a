/** Folders with files for tests, and descriptors of this process that are open on them. */
import { mkdirSync, readdirSync, readlinkSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** Long enough ago for files to be told from what changes during a test. */
export const longAgo = new Date('2024-02-03T04:05:06Z')

/** Writes files below `folder`, by their names; the content is what they are mapped to. */
export function writeTree(folder: string, files: Readonly<Record<string, string | Buffer>>): void {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, content)
    utimesSync(file, longAgo, longAgo)
  }
}

/** How many descriptors of this process are open on something below `folder`. Linux only. */
export function openBelow(folder: string): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder)
    } catch {
      // Closed in between, as the one that read the folder is.
      return false
    }
  }).length
}
