/** The time of log lines as text. At full load many lines fall into one millisecond, and far more into one second: each text is made once. */

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const two = (number: number): string => String(number).padStart(2, '0')

export class LineClock {
  private ms = -1
  private isoText = ''
  private second = -1
  private localText = ''

  /** `2026-11-28T13:55:36.123Z` */
  iso(): string {
    const now = Date.now()
    if (now !== this.ms) {
      this.ms = now
      this.isoText = new Date(now).toISOString()
    }
    return this.isoText
  }

  /** `28/Nov/2026:13:55:36 +0000`, in the time zone of the process: the form of the Common Log Format */
  local(): string {
    const second = Math.floor(Date.now() / 1000)
    if (second !== this.second) {
      this.second = second
      this.localText = localText(new Date(second * 1000))
    }
    return this.localText
  }
}

export function localText(date: Date): string {
  const ahead = -date.getTimezoneOffset()
  const zone = `${ahead < 0 ? '-' : '+'}${two(Math.floor(Math.abs(ahead) / 60))}${two(Math.abs(ahead) % 60)}`
  const day = `${two(date.getDate())}/${months[date.getMonth()]}/${String(date.getFullYear()).padStart(4, '0')}`
  return `${day}:${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}`
}
