/** Rows of `files`: a folder whose files answer the requests of a route. */
import type { Formed } from '../../config/engine/forms.ts'
import type { Read } from '../../config/engine/infer.ts'
import { shape } from '../../config/engine/kinds.ts'
import { filePath } from './file-path.ts'

/** A name below the root, as it is on disk. */
function fileName(text: string): Formed<string> {
  const hint = 'as in index.html or pages/app.html, below the root'
  if (text === '' || text.endsWith('/') || filePath(`/${encodeURI(text)}`) !== text)
    return { wrong: `${JSON.stringify(text)} is not the name of a file that is served`, hint }
  return { ok: text }
}

const nameKind = { type: 'string', form: fileName, write: 'name' } as const

export const filesShape = shape({
  name: 'files',
  docs: 'Answers with files of a folder instead of asking a backend ([files.md](files.md)).',
  rows: {
    root: {
      kind: { type: 'folder' },
      required: true,
      docs:
        'The folder. The path of the request, after `strip` and `rewrite`, is appended to it. Names that begin with a dot are not served, except for ' +
        '`/.well-known/`, nor is anything outside of the folder that a symbolic link leads to.',
      example: './public',
    },
    index: {
      kind: { type: 'list', of: nameKind, single: true, empty: true },
      default: 'index.html',
      docs: 'Which file answers for a folder: the first that exists. `[]` for none.',
      example: '[index.html, index.htm]',
    },
    fallback: {
      kind: nameKind,
      docs:
        'The file, below the root, for pages that have none: the entry of a single-page application. Requests for scripts, images and the like still ' +
        'get a 404.',
      example: 'index.html',
    },
    precompressed: {
      kind: { type: 'boolean' },
      default: false,
      docs: 'For `app.js`, sends `app.js.br`, `app.js.zst` or `app.js.gz` to clients that accept that coding, if the file exists.',
      example: 'true',
    },
    listing: {
      kind: { type: 'boolean' },
      default: false,
      docs: 'Lists the content of folders that have no index.',
      example: 'true',
    },
  },
})

export type FilesConfig = Read<typeof filesShape>
