/**
 * Finds certificates with their keys in one folder, by how files are named:
 * - NAME.crt, NAME.pem or NAME.cer with NAME.key (Kubernetes' tls.crt and tls.key are of this form), or NAME.pem.key
 * - fullchain.pem with privkey.pem (certbot)
 * - NAME.pem alone, where it holds both (HAProxy)
 *
 * Everything else is passed over in silence: cert.pem, ca.crt, README. The folder is written by others, so what is read of
 * it is bounded, and nothing that is not a file, or a link to one, is opened.
 */
import { type Dirent, opendirSync, type Stats, statSync } from 'node:fs'
import path from 'node:path'
import { UsageError } from '../../base/errors.ts'
import type { BundleFiles } from './bundle.ts'
import { readProblem, readStamped, stampFrom } from './stamped.ts'

const usualMostEntries = 60_000
const mostSearchedBytes = 64 * 1024 * 1024

export type FolderScan = {
  readonly pairs: readonly BundleFiles[]
  /** Folders in it, also behind symbolic links; those whose names begin with a dot are left out */
  readonly folders: readonly string[]
  /** What was left out because there is too much of it */
  readonly problems: readonly string[]
}

/** Whether a NAME.pem holds both, by its stamp: asked again only when it has changed. */
export type Searched = Map<string, { readonly stamp: number; readonly both: boolean }>

const endings = ['.crt', '.pem', '.cer'] as const

/** Throws UsageError where the folder is missing or may not be read. */
export function scanFolder(folder: string, searched: Searched, mostEntries = usualMostEntries): FolderScan {
  const problems: string[] = []
  const names = new Set<string>()
  const folders: string[] = []
  const entries = entriesOf(folder, problems, mostEntries)
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue
    const wanted = /\.(?:crt|pem|cer|key)$/.test(entry.name)
    if (entry.isFile() || (entry.isSymbolicLink() && wanted)) {
      if (wanted) names.add(entry.name)
    } else if (entry.isDirectory()) folders.push(path.join(folder, entry.name))
    else if (entry.isSymbolicLink() && statOf(path.join(folder, entry.name))?.isDirectory())
      folders.push(path.join(folder, entry.name))
  }
  const pairs: BundleFiles[] = []
  const add = (chain: string, key: string) =>
    pairs.push({ chainFile: path.join(folder, chain), keyFile: path.join(folder, key) })
  const certbot = names.has('fullchain.pem') && names.has('privkey.pem')
  if (certbot) add('fullchain.pem', 'privkey.pem')
  const taken = new Set<string>()
  let left = mostSearchedBytes
  for (const ending of endings) {
    for (const name of names) {
      if (!name.endsWith(ending)) continue
      const base = name.slice(0, -ending.length)
      if (taken.has(base) || (certbot && certbotNames.has(name))) continue
      const key = [`${name}.key`, `${base}.key`].find(each => names.has(each))
      if (key !== undefined) {
        taken.add(base)
        add(name, key)
      } else if (ending === '.pem' && left > 0) {
        const both = holdsBoth(path.join(folder, name), searched)
        left -= both.bytes
        if (both.both) add(name, name)
        if (left <= 0) problems.push(`${folder}: has too many large .pem files; not all were looked into`)
      }
    }
  }
  return { pairs, folders: folders.sort(), problems }
}

const certbotNames = new Set(['cert.pem', 'chain.pem', 'fullchain.pem', 'privkey.pem'])

function entriesOf(folder: string, problems: string[], mostEntries: number): Dirent[] {
  try {
    const open = opendirSync(folder)
    try {
      const entries: Dirent[] = []
      for (let entry = open.readSync(); entry !== null; entry = open.readSync()) {
        if (entries.length === mostEntries) {
          problems.push(`${folder}: has more than ${mostEntries} entries; the rest is not looked at`)
          break
        }
        entries.push(entry)
      }
      return entries
    } finally {
      open.closeSync()
    }
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOTDIR' ? 'is not a folder' : readProblem(error)
    throw new UsageError(`${folder}: ${why}`)
  }
}

function statOf(file: string): Stats | null {
  try {
    return statSync(file)
  } catch {
    return null
  }
}

function holdsBoth(file: string, searched: Searched): { both: boolean; bytes: number } {
  const found = statOf(file)
  if (found === null || !found.isFile()) return { both: false, bytes: 0 }
  const stamp = stampFrom(found)
  const known = searched.get(file)
  if (known?.stamp === stamp) return { both: known.both, bytes: 0 }
  try {
    const { text, young } = readStamped(file)
    const both = text.includes('PRIVATE KEY-----') && text.includes('-----BEGIN CERTIFICATE-----')
    if (!young) searched.set(file, { stamp, both })
    return { both, bytes: text.length }
  } catch {
    return { both: false, bytes: 0 }
  }
}
