/** Files that are there after a crash, whole or not at all; and who else may read them. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** A new file; one that is there is EEXIST. */
export function writeSynced(file: string, content: string | Uint8Array, mode: number): void {
  const descriptor = openSync(file, 'wx', mode)
  try {
    writeFileSync(descriptor, content)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Makes the names in a folder durable. Windows cannot open a folder. */
export function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Puts `content` in the place of whatever `file` is: a reader finds the old content or the new one. */
export function replaceSynced(file: string, content: string | Uint8Array, mode: number): void {
  const draft = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.${Date.now()}.new`)
  try {
    writeSynced(draft, content, mode)
    renameSync(draft, file)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
  syncFolder(path.dirname(file))
}

/** @param power what somebody who has the key can pose as */
export function modeWarnings(keyFile: string, power: string): string[] {
  if (process.platform === 'win32') return []
  const mode = statSync(keyFile).mode & 0o777
  if ((mode & 0o077) === 0) return []
  return [
    `${keyFile}: others than its owner may read it (mode ${mode.toString(8).padStart(4, '0')}), and who has it can pose as ` +
      `${power}; run: chmod 600 ${keyFile}`,
  ]
}
