/** `files` of a route, with what the rows cannot say: the root is there, and nothing of the gateway's own is served from it. */
import { statSync } from 'node:fs'
import path from 'node:path'
import { filesShape } from '../features/files/options.ts'
import type { RouteAction } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { type Node, placeOf } from './engine/tree.ts'
import { whole } from './engine/whole.ts'

export type FilesChecks = {
  /** Folders that are named need not be there yet */
  readonly filesLater: boolean
  /** Absolute paths that are nobody's business: the configuration and the state folder */
  readonly ownFiles: readonly string[]
}

export function validateFiles(
  raw: Raw<typeof filesShape> | undefined,
  node: Node,
  problems: Problems,
  { filesLater, ownFiles }: FilesChecks,
): RouteAction | undefined {
  const files = whole(filesShape, raw)
  if (!files) return undefined
  const { root } = files
  const found = statSync(root, { throwIfNoEntry: false })
  if (found?.isDirectory() !== true && !(found === undefined && filesLater)) {
    const wrong = found === undefined ? 'does not exist' : 'is not a folder'
    problems.error(placeOf(node, 'root'), `${root} ${wrong}`, 'root is the folder whose files are served')
    return undefined
  }
  for (const own of ownFiles) {
    const below = path.relative(root, own)
    if (isServed(below))
      problems.warn(
        placeOf(node, 'root'),
        `${root} is served, and with it ${own}`,
        'point root at a folder that holds nothing but what is public',
      )
  }
  return { kind: 'files', ...files }
}

/** @param below relative to a root */
const isServed = (below: string): boolean =>
  !path.isAbsolute(below) && below.split(path.sep).every(segment => !segment.startsWith('.'))
