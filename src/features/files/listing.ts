/** The content of a folder as a page of links. Names are what anybody may have called a file: each is escaped for where it stands. */
import type { Dirent } from 'node:fs'
import type { Reply } from '../../model/filter.ts'
import { filePath } from './file-path.ts'

/** More are not shown: a page is in memory. */
const listedAtMost = 2_000

/** @param path as the client asked for it @param isRoot there is no folder above that is served */
export function listingPage(path: string, isRoot: boolean, entries: readonly Dirent[]): Reply {
  const shown = entries.filter(({ name }) => isServed(name))
  const folders = names(shown.filter(entry => entry.isDirectory())).map(name => `${name}/`)
  const all = [...folders, ...names(shown.filter(entry => entry.isFile() || entry.isSymbolicLink()))]
  const lines = all.slice(0, listedAtMost).map(name => item(hrefOf(name), name))
  const more = all.length > listedAtMost ? `<p>and ${all.length - listedAtMost} more</p>` : ''
  const title = escaped(`Index of ${shownPath(path)}`)
  const body =
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>` +
    '<style>body{font:16px/1.5 system-ui,sans-serif;margin:2em}ul{list-style:none;padding:0}</style>' +
    `<h1>${title}</h1><ul>${isRoot ? '' : item('../', '../')}${lines.join('')}</ul>${more}</html>\n`
  return { status: 200, headers, body }
}

const headers = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-cache',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
  'x-content-type-options': 'nosniff',
}

const isServed = (name: string): boolean => {
  try {
    return filePath(`/x/${encodeURIComponent(name)}`) === `x/${name}`
  } catch {
    return false
  }
}

const names = (entries: readonly Dirent[]): string[] => entries.map(({ name }) => name).toSorted()

/** Relative, and never of a scheme, whatever the name is. */
const hrefOf = (name: string): string =>
  name.endsWith('/') ? `./${encodeURIComponent(name.slice(0, -1))}/` : `./${encodeURIComponent(name)}`

const item = (href: string, name: string): string => `<li><a href="${escaped(href)}">${escaped(name)}</a></li>`

function shownPath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (text: string): string => text.replace(/[&<>"']/g, char => escapes[char] as string)
