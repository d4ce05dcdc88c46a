/**
 * Which sites are in maintenance: a folder of the state folder has an empty file for each. So it survives reloads and restarts; all
 * processes of a gateway see the same, also one that starts later; and two that switch at once undo nothing of each other.
 * Each process looks every second, and at once when it is the one that is asked.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { syncFolder } from '../base/durable.ts'
import { messageOf, UsageError } from '../base/errors.ts'

type Switch = { on: boolean }

const none: ReadonlySet<string> = new Set()

export class Maintenance {
  private readonly switches = new Map<string, Switch>()
  private folder = ''
  private onDisk: ReadonlySet<string> = none
  private readonly changed: (site: string, on: boolean) => void

  /** @param changed is told of each switch that is set otherwise than it was */
  constructor(changed: (site: string, on: boolean) => void) {
    this.changed = changed
  }

  get size(): number {
    return this.switches.size
  }

  /** @param state the state folder; what it says now holds for sites that are new */
  use(state: string): void {
    this.folder = path.join(state, 'maintenance')
    this.onDisk = this.listed()
  }

  /** Of a site by its first host; the same object for as long as a snapshot uses it. */
  of(site: string): { readonly on: boolean } {
    let held = this.switches.get(site)
    if (held === undefined) {
      held = { on: this.onDisk.has(nameOf(site)) }
      this.switches.set(site, held)
      if (held.on) this.changed(site, true)
    }
    return held
  }

  /** Throws UsageError where the state folder cannot be written to; nothing is switched then. */
  set(site: string, on: boolean): void {
    const file = path.join(this.folder, nameOf(site))
    try {
      if (on) {
        mkdirSync(this.folder, { recursive: true, mode: 0o700 })
        writeFileSync(file, '', { mode: 0o600 })
        syncFolder(this.folder)
      } else rmSync(file, { force: true })
    } catch (error) {
      throw new UsageError(`${file}: ${messageOf(error)}`)
    }
    this.switch(site, on)
  }

  /** Takes over what others have switched. */
  look(): void {
    if (this.switches.size === 0) return
    const listed = this.listed()
    for (const site of this.switches.keys()) this.switch(site, listed.has(nameOf(site)))
  }

  /** @param used by their first hosts */
  keepOnly(used: ReadonlySet<string>): void {
    for (const site of this.switches.keys()) if (!used.has(site)) this.switches.delete(site)
  }

  private switch(site: string, on: boolean): void {
    const held = this.switches.get(site)
    if (held === undefined || held.on === on) return
    held.on = on
    this.changed(site, on)
  }

  private listed(): ReadonlySet<string> {
    try {
      return new Set(readdirSync(this.folder))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return none
      // Nobody can say: what holds goes on.
      return new Set([...this.switches].flatMap(([site, { on }]) => (on ? [nameOf(site)] : [])))
    }
  }
}

/** The name of a file for a host, which may have a star or brackets. */
const nameOf = (site: string): string => encodeURIComponent(site).replace('*', '%2A')
