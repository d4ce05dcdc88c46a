/**
 * Values that came from environment variables and from files: passwords and tokens among them, so that no message quotes any of
 * them. A message shows what is written in the file instead, such as `${NAME}` or `${file:/run/secrets/token}`. Messages are made in many places, by forms that
 * quote a part of a value too: so every message is cleaned where it is collected, and one that still holds a piece of the
 * value it is about says only that the value cannot be used.
 */

type Hidden = {
  /** `sites[0].host` */
  readonly path: string
  readonly value: string
  /** As in the file */
  readonly written: string
}

/** Shorter pieces of a value say nothing about it. */
const pieceLength = 4
/** What messages hold by themselves */
const ownWords = /https?:\/\/|h2c:\/\/|rediss?:\/\/|spiffe:\/\/|localhost|example(\.com)?|\$\{[^}]*\}/gi

export class HiddenValues {
  private readonly all: Hidden[] = []
  private readonly byPath = new Map<string, Hidden[]>()

  add(path: string, value: string, written: string): void {
    if (value === '') return
    const hidden = { path, value, written }
    this.all.push(hidden)
    this.note(path, hidden)
  }

  /** What stands at `path` stands at `other` as well. */
  alias(path: string, other: string): void {
    for (const hidden of this.byPath.get(path) ?? []) this.note(other, hidden)
  }

  /** A message that is about what stands at this path; null where nothing of it can be told. */
  clean(text: string, path: string): string | null {
    let cleaned = this.replace(text)
    for (const { value, written } of this.byPath.get(path) ?? []) {
      cleaned = cleaned.replaceAll(JSON.stringify(value), written).replaceAll(value, written)
      if (holdsPiece(cleaned.replaceAll(written, ''), value)) return null
    }
    return cleaned
  }

  /** Any text in which whole values may be quoted. */
  replace(text: string): string {
    let cleaned = text
    for (const { value, written } of this.all)
      if (value.length >= pieceLength) cleaned = cleaned.replaceAll(value, written)
    return cleaned
  }

  /** What is written at this path, where it came from a variable or a file. */
  writtenAt(path: string): string | null {
    return this.byPath.get(path)?.[0]?.written ?? null
  }

  private note(path: string, hidden: Hidden): void {
    const known = this.byPath.get(path)
    if (known === undefined) this.byPath.set(path, [hidden])
    else if (!known.includes(hidden)) known.push(hidden)
  }
}

function holdsPiece(text: string, value: string): boolean {
  const message = text.replace(ownWords, ' ').toLowerCase()
  return [value, decoded(value)].some(each => {
    const secret = each.replace(ownWords, ' ').toLowerCase()
    if (secret.trim().length < pieceLength) return secret.trim() !== '' && words(message).includes(secret.trim())
    for (let at = 0; at + pieceLength <= secret.length; at++)
      if (message.includes(secret.slice(at, at + pieceLength)) && secret.slice(at, at + pieceLength).trim() !== '')
        return true
    return false
  })
}

const words = (text: string): string[] => text.split(/[^\p{L}\p{N}]+/u)

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
