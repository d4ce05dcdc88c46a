/** Dates in fields (RFC 9110 section 5.6.7): the form that is sent, and the two older ones that a recipient has to take. */

const fixed = /^[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/
const rfc850 = /^[A-Z][a-z]{5,8}, (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/
const asctime = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/
const longest = 'Wednesday, 09-Nov-94 08:49:37 GMT'.length

const months: readonly string[] = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')

/** Milliseconds since 1970, whole seconds; null where it is no date. */
export function parseHttpDate(text: string, now = Date.now()): number | null {
  if (text.length > longest) return null
  const sent = fixed.exec(text)
  if (sent !== null) return at(sent[3], sent[2], sent[1], sent[4], sent[5], sent[6])
  const old = rfc850.exec(text)
  if (old !== null) return at(`${fullYear(Number(old[3]), now)}`, old[2], old[1], old[4], old[5], old[6])
  const c = asctime.exec(text)
  return c === null ? null : at(c[6], c[1], c[2], c[3], c[4], c[5])
}

type Digits = string | undefined

function at(year: Digits, month: Digits, day: Digits, hour: Digits, minute: Digits, second: Digits): number | null {
  const [y, m, d] = [Number(year), months.indexOf(month ?? ''), Number(day)]
  // A second of 60 is a leap second.
  if (m < 0 || d < 1 || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return null
  const ms = Date.UTC(y, m, d, Number(hour), Number(minute), Number(second))
  return new Date(Date.UTC(y, m, d)).getUTCDate() === d ? ms : null
}

/** Two digits that seem to lie more than 50 years ahead are of the century before. */
function fullYear(digits: number, now: number): number {
  const thisYear = new Date(now).getUTCFullYear()
  const year = thisYear - (thisYear % 100) + digits
  return year > thisYear + 50 ? year - 100 : year
}
