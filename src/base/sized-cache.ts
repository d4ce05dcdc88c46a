/**
 * Values by key, of which all together take at most so many bytes. What is looked up stays; what is not makes room for others
 * (second chance), so that a look-up changes no order and a flood of keys that are asked for once puts out nothing that is used.
 */

/** What an entry takes beside its value */
const overheadBytes = 256

type Held<T> = { readonly value: T; readonly bytes: number; used: boolean }

export class SizedCache<T> {
  private readonly entries = new Map<string, Held<T>>()
  private readonly atMost: number
  private bytes = 0

  /** @param atMost bytes */
  constructor(atMost: number) {
    this.atMost = atMost
  }

  get(key: string): T | null {
    const held = this.entries.get(key)
    if (held === undefined) return null
    held.used = true
    return held.value
  }

  /** @param bytes of the value */
  put(key: string, value: T, bytes: number): void {
    this.delete(key)
    const whole = bytes + key.length + overheadBytes
    if (whole > this.atMost) return
    this.makeRoom(this.atMost - whole)
    this.entries.set(key, { value, bytes: whole, used: false })
    this.bytes += whole
  }

  delete(key: string): void {
    const held = this.entries.get(key)
    if (held === undefined) return
    this.entries.delete(key)
    this.bytes -= held.bytes
  }

  private makeRoom(atMost: number): void {
    while (this.bytes > atMost) {
      const [key, held] = this.entries.entries().next().value as [string, Held<T>]
      this.delete(key)
      if (!held.used) continue
      held.used = false
      this.entries.set(key, held)
      this.bytes += held.bytes
    }
  }
}
