/**
 * The options of a `Connection` field (RFC 9110 section 7.6.1): what it says of this connection, and the names of fields
 * that are meant for it alone. The list is walked once and gives a set, so that the fields are walked once as well,
 * however many options there are.
 */
import { trimBlanks } from './fields.ts'

type ConnectionOptions = {
  close: boolean
  keepAlive: boolean
  upgrade: boolean
  /** Of fields to drop, in lower case; null where there is none, which is nearly always */
  names: Set<string> | null
}

export function readConnection(value: string): ConnectionOptions {
  const options: ConnectionOptions = { close: false, keepAlive: false, upgrade: false, names: null }
  for (let from = 0; from <= value.length; ) {
    const comma = value.indexOf(',', from)
    const to = comma < 0 ? value.length : comma
    const option = trimBlanks(value.slice(from, to)).toLowerCase()
    from = to + 1
    if (option === 'close') options.close = true
    else if (option === 'keep-alive') options.keepAlive = true
    else if (option === 'upgrade') options.upgrade = true
    else if (option !== '') {
      options.names ??= new Set()
      options.names.add(option)
    }
  }
  return options
}
