/**
 * The Date field of an answer (RFC 9110 section 6.6.1): added where a backend sent none, and to our own answers. Written
 * once a second, whatever the number of answers.
 */

export const dateLineAt = (ms: number): string => `date: ${new Date(ms).toUTCString()}\r\n`

export class DateField {
  private second = -1
  private text = ''

  /** The field with its CRLF. */
  get line(): string {
    const now = Date.now()
    const second = Math.floor(now / 1000)
    if (second !== this.second) {
      this.second = second
      this.text = dateLineAt(now)
    }
    return this.text
  }
}

/** Whether lines whose names are in lower case have a Date. */
export const hasDate = (lines: string): boolean => lines.startsWith('date:') || lines.includes('\r\ndate:')
