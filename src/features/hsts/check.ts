/** The traps of HSTS: what a browser has seen cannot be called back. */
import type { Raw } from '../../config/engine/infer.ts'
import type { Problems } from '../../config/engine/problem.ts'
import { type Node, placeOf } from '../../config/engine/tree.ts'
import type { hstsShape } from './options.ts'

/** What the lists of browsers ask for (hstspreload.org). */
const preloadSeconds = 31_536_000

export function checkHsts(
  { maxAge, subdomains, preload }: Raw<typeof hstsShape>,
  node: Node,
  problems: Problems,
): void {
  if (maxAge === undefined || subdomains === undefined || preload === undefined) return
  if (preload && (!subdomains || maxAge < preloadSeconds)) {
    problems.error(
      placeOf(node, 'preload'),
      `preload needs subdomains: true and a maxAge of at least ${preloadSeconds}`,
      'the preload lists of browsers require it (hstspreload.org)',
    )
  } else if (preload) {
    const hint = 'removal from the preload lists of browsers takes months'
    problems.warn(
      placeOf(node, 'preload'),
      'preload: browsers will use only https for every host below this one, permanently',
      hint,
    )
  } else if (subdomains) {
    const hint = 'make sure that every one of them has https'
    problems.note(
      placeOf(node, 'subdomains'),
      `subdomains: it also applies to hosts that are not served here; ${hint}`,
    )
  }
}
