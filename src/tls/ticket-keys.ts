/**
 * Keys of session tickets (RFC 5077, RFC 8446 section 4.6.1): a key for each time window and each set of TLS terms. The
 * secret of a window follows from that of the one before by HKDF-SHA256, and never the other way: what was forgotten
 * cannot be made again, not even by whoever has the file. Keys of terms follow from the window's secret in the same way,
 * so that a ticket of one set of terms means nothing under another.
 *
 * Invariant: no window outlives `keep` rotations, whatever the clock does.
 */
import { hkdfSync, randomBytes } from 'node:crypto'
import { messageOf } from '../base/errors.ts'
import type { TicketKeys, TicketWindow } from '../model/ticket-keys.ts'
import { secretBytes, type TicketRoot, TicketRootFile } from './ticket-root.ts'

type TicketTerms = { readonly rotateMs: number; readonly keep: number }

/** A file or a clock that is further off is wrong; about a second's work. */
const mostSteps = 1_000_000
/** RFC 8446 section 4.6.1: no ticket lives longer. */
const longestSeconds = 7 * 86_400

export class TicketKeyring implements TicketKeys {
  private readonly warn: (text: string) => void
  private readonly now: () => number
  private terms: TicketTerms = { rotateMs: 12 * 3_600_000, keep: 3 }
  private state: string | null = null
  private file: TicketRootFile | null = null
  /** Of the oldest window that is kept */
  private root: TicketRoot | null = null
  private present = -1
  private kept: readonly Window[] = []

  /** Until `use` is called, the keys are this process's own. */
  constructor(warn: (text: string) => void, now: () => number = Date.now) {
    this.warn = warn
    this.now = now
  }

  /** Takes the keys of a state folder into use; those in use stay when nothing has changed. Never throws: without a file the keys are this process's own. */
  use(state: string, terms: TicketTerms): void {
    if (this.state === state && this.terms.rotateMs === terms.rotateMs && this.terms.keep === terms.keep) return
    this.state = state
    this.terms = terms
    this.root = null
    this.kept = []
    this.file = new TicketRootFile(state, terms.rotateMs)
    try {
      this.root = this.file.open(() => this.fresh())
      for (const warning of this.file.warnings()) this.warn(warning)
    } catch (error) {
      this.file = null
      this.warn(`${messageOf(error)}; TLS sessions resume only within this process`)
    }
  }

  get lifetimeSeconds(): number {
    const { rotateMs, keep } = this.terms
    return Math.min(longestSeconds, Math.floor((rotateMs * keep) / 1000))
  }

  windows(): readonly TicketWindow[] {
    const clock = this.clockWindow()
    if (clock === this.present && this.kept.length > 0) return this.kept
    return this.turn(clock)
  }

  private turn(clock: number): readonly TicketWindow[] {
    const { keep } = this.terms
    let root = this.root ?? this.fresh()
    if (root.window > clock + keep || clock - root.window > mostSteps) {
      const where = this.file === null ? 'the clock has jumped' : `the clock and ${this.file.file} are far apart`
      this.warn(`${where}; TLS sessions start afresh, and resume only within this process`)
      this.file = null
      this.kept = []
      root = this.fresh()
    }
    // A clock that goes back brings no window back.
    const last = Math.max(clock, root.window)
    while (root.window < last - keep + 1) root = after(root)
    const known = new Map(this.kept.map(window => [window.number, window]))
    const windows: Window[] = []
    for (let at = root; ; at = after(at)) {
      windows.unshift(known.get(at.window) ?? new Window(at))
      if (at.window === last) break
    }
    const moved = this.root !== null && root.window > this.root.window
    this.root = root
    this.present = clock
    this.kept = windows
    if (moved) this.forget(root)
    return windows
  }

  private forget(root: TicketRoot): void {
    try {
      this.file?.advance(root)
    } catch (error) {
      this.warn(`the keys of TLS sessions cannot be rotated: ${messageOf(error)}`)
    }
  }

  private clockWindow(): number {
    return Math.floor(this.now() / this.terms.rotateMs)
  }

  private fresh(): TicketRoot {
    return { window: this.clockWindow(), secret: randomBytes(secretBytes) }
  }
}

const derive = (secret: Buffer, purpose: string, bytes: number): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', `sallyport tickets: ${purpose}`, bytes))

const after = ({ window, secret }: TicketRoot): TicketRoot => ({
  window: window + 1,
  secret: derive(secret, 'next window', secretBytes),
})

class Window implements TicketWindow {
  readonly number: number
  private readonly secret: Buffer

  constructor({ window, secret }: TicketRoot) {
    this.number = window
    this.secret = derive(secret, 'keys', secretBytes)
  }

  key(sessionContext: string): Buffer {
    return derive(this.secret, `terms ${sessionContext}`, 48)
  }
}
