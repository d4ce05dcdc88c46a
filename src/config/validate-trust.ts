/** `trust` of a listener, or of the file, with the addresses of the lists that it names. */

import { messageOf } from '../base/errors.ts'
import { CidrSet, unixPeer } from '../base/ip.ts'
import type { Trust } from '../model/client.ts'
import type { Raw } from './engine/infer.ts'
import { unknownName } from './engine/mistakes.ts'
import type { Problems } from './engine/problem.ts'
import { childOf, type Node, type Place } from './engine/tree.ts'
import type { trustShape } from './schema/trust.ts'

export type TrustConfig = Omit<Trust, 'from'> & { readonly from: readonly string[] }

type RawTrust = Raw<typeof trustShape> | null | undefined
type Lists = ReadonlyMap<string, readonly (string | undefined)[] | undefined>

/** @param node of the trust; undefined where none is written @returns null for nobody */
export function validateTrust(
  raw: RawTrust,
  node: Node | undefined,
  lists: Lists,
  problems: Problems,
): TrustConfig | null {
  if (!raw || node === undefined) return null
  const { fields, host } = raw
  const from = childOf(node, 'from')
  const ranges: string[] = []
  raw.from?.forEach((entry, index) => {
    const at = from?.kind === 'list' ? from.items[index]?.at : from?.at
    if (entry === undefined || at === undefined) return
    if (entry === unixPeer) {
      ranges.push(entry)
      return
    }
    if (entry.includes('/')) {
      checkRange(entry, at, problems)
      ranges.push(entry)
      return
    }
    const list = lists.get(entry)
    if (list === undefined && !lists.has(entry))
      problems.error(
        at,
        `there is no list ${entry}`,
        unknownName(entry, [...lists.keys()]) ?? `add lists: { ${entry}: [10.0.0.0/8] }`,
      )
    for (const range of list ?? []) if (range !== undefined) ranges.push(range)
  })
  if (fields === undefined || host === undefined) return null
  if (fields === 'x-forwarded' && childOf(node, 'host') === undefined)
    problems.note(
      node.at,
      'trust: X-Forwarded-Host of these proxies chooses the site: their clients could, unless each of them sets or removes it',
      'write host: true if they do, else host: false',
    )
  return { from: ranges, fields, host }
}

function checkRange(range: string, at: Place, problems: Problems): void {
  try {
    new CidrSet([range])
  } catch (error) {
    problems.error(at, messageOf(error))
    return
  }
  if (range.endsWith('/0'))
    problems.warn(
      at,
      `trust.from has ${range}: every client can choose the address that limits, lists and logs see`,
      'name the addresses of the proxies',
    )
}

/** Their entries, where they are written. */
export function checkLists(lists: Lists, node: Node | undefined, problems: Problems): void {
  for (const [name, ranges] of lists) {
    const list = node && childOf(node, name)
    ranges?.forEach((range, index) => {
      const at = list?.kind === 'list' ? list.items[index]?.at : list?.at
      if (range !== undefined && at !== undefined) checkRange(range, at, problems)
    })
  }
}
