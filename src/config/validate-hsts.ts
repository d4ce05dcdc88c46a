/** HSTS, from rows to config.ts, with a word about its traps: what a browser has seen cannot be called back. */
import type { HstsConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOf, placeOfKey } from './engine/tree.ts'
import type { hstsShape } from './schema/hsts.ts'

export type RawHsts = Raw<typeof hstsShape>

/** What the lists of browsers ask for (hstspreload.org). */
const preloadSeconds = 31_536_000

/** Null: nothing is said about it. */
export function validateHsts(
  raw: RawHsts | null | undefined,
  node: Node,
  problems: Problems,
): HstsConfig | null | undefined {
  if (!childOf(node, 'hsts')) return null
  if (childOf(node, 'passthrough') || childOf(node, 'tcp')) {
    problems.error(placeOfKey(node, 'hsts'), 'hsts is a header, and this site speaks no HTTP here', 'remove it')
    return undefined
  }
  if (raw?.maxAge === undefined || raw.subdomains === undefined || raw.preload === undefined) return undefined
  const { maxAge, subdomains, preload } = raw
  if (preload && (!subdomains || maxAge < preloadSeconds)) {
    problems.error(
      placeOf(node, 'hsts', 'preload'),
      `preload needs subdomains: true and a maxAge of at least ${preloadSeconds}`,
      'the lists of browsers take no less (hstspreload.org)',
    )
    return undefined
  }
  if (preload) {
    const hint = 'it takes months to be removed from the lists of browsers'
    problems.warn(placeOf(node, 'hsts', 'preload'), 'preload: every host below this one is https for good', hint)
  } else if (subdomains) {
    const hint = 'make sure that every one of them has https'
    problems.note(
      placeOf(node, 'hsts', 'subdomains'),
      `subdomains: hosts that are not served here are held to it too; ${hint}`,
    )
  }
  return { maxAge, subdomains, preload }
}
