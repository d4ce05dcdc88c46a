/** The names of files that may answer a request, in the order in which they are tried. */
import type { Fields } from '../../wire/fields.ts'
import { chooseCoding } from '../compress/accept-encoding.ts'
import type { Coding } from '../compress/codings.ts'
import { filesAcceptHtml } from './accepts-html.ts'
import type { FilesConfig } from './options.ts'

export type Candidate = {
  /** Below the root */
  readonly name: string
  /** The file that this is a coding of, or the same */
  readonly of: string
  readonly coding: Coding | null
  /** `path`: what the path names, where a folder is answered with a redirect. `listing`: a folder, whose content is the answer */
  readonly as: 'path' | 'listing' | 'file'
  /** Further field lines of the answer */
  readonly lines: string
}

/** Smaller ones first, as they usually are. */
const order: readonly Coding[] = ['br', 'zstd', 'gzip']
const endings = { br: '.br', zstd: '.zst', gzip: '.gz' } as const satisfies Record<Coding, string>

/** @param path as filePath gives it @param fields of the request */
export function candidatesFor(path: string, fields: Fields, config: FilesConfig): Candidate[] {
  const codings = config.precompressed ? codingsFor(fields) : none
  const candidates: Candidate[] = []
  const vary = config.precompressed ? 'vary: accept-encoding\r\n' : ''
  const add = (of: string, as: 'path' | 'file', lines = vary) => {
    for (const coding of codings)
      candidates.push({ name: `${of}${endings[coding]}`, of, coding, as: 'file', lines })
    candidates.push({ name: of, of, coding: null, as, lines })
  }
  if (path === '' || path.endsWith('/')) {
    for (const index of config.index) add(`${path}${index}`, 'file')
    const name = path.slice(0, -1)
    if (config.listing) candidates.push({ name, of: name, coding: null, as: 'listing', lines: '' })
  } else add(path, 'path')
  if (config.fallback !== null && filesAcceptHtml(fields, path))
    add(config.fallback, 'file', `vary: accept\r\n${vary}`)
  return candidates
}

const none: readonly Coding[] = []

/** What the client takes, the best first. */
function codingsFor(fields: Fields): readonly Coding[] {
  const all = fields.getAll('accept-encoding')
  if (all.length === 0) return none
  const accept = all.join(',')
  const chosen: Coding[] = []
  for (let left = order; left.length > 0; ) {
    const { coding } = chooseCoding(accept, left)
    if (coding === null) break
    chosen.push(coding)
    left = left.filter(each => each !== coding)
  }
  return chosen
}
