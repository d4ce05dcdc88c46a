/** The log, from rows to config.ts: whether there is an access log, and what fits together of it. */
import type { LogConfig } from './config.ts'
import type { Raw } from './engine/infer.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, placeOfKey } from './engine/tree.ts'
import { whole } from './engine/whole.ts'
import { logShape } from './schema/log.ts'

/** @param node of the section, if it is written */
export function validateLog(
  raw: Raw<typeof logShape> | undefined,
  node: Node | undefined,
  problems: Problems,
): LogConfig | undefined {
  const log = whole(logShape, raw)
  if (log === undefined) return undefined
  const { access } = log
  if (access.as === 'text') return { ...log, access: access.value }
  const written = node && childOf(node, 'access')
  const { format, fields, file, rotate } = access.value
  if (written !== undefined && rotate !== null && file === null)
    problems.error(placeOfKey(written, 'rotate'), 'rotate needs file', 'standard output cannot be rotated')
  if (written !== undefined && fields.length > 0 && format.kind !== 'json')
    problems.error(
      placeOfKey(written, 'fields'),
      'fields are added to json records only',
      'in a template, write them where they belong, as in {request.userAgent}',
    )
  const { syslog } = access.value
  return {
    ...log,
    access: { ...access.value, syslog: syslog && { ...syslog.to, facility: syslog.facility, tag: syslog.tag } },
  }
}
