/** The `priority` field and PRIORITY_UPDATE (RFC 9218): urgency 0 to 7, the lowest first, and whether parts are of use. */

export type Priority = { readonly urgency: number; readonly incremental: boolean }

const defaultPriority: Priority = { urgency: 3, incremental: false }

/** A dictionary of structured fields; what cannot be read counts as not said (section 4). */
export function parsePriority(text: string): Priority {
  let { urgency, incremental } = defaultPriority
  for (const member of text.split(',')) {
    const item = member.trim()
    const level = /^u=([0-7])$/.exec(item)
    if (level) urgency = Number(level[1])
    else if (item === 'i' || item === 'i=?1') incremental = true
    else if (item === 'i=?0') incremental = false
  }
  return { urgency, incremental }
}
