/**
 * Which sites are in maintenance: a folder in the state folder has an empty file for each. It therefore survives reloads and restarts; all
 * processes of a gateway see the same state, including those that start later; and two that switch at once do not undo each other.
 * Each process checks every second, and at once if it executes the command itself.
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

  /** @param changed is called for each switch that has changed */
  constructor(changed: (site: string, on: boolean) => void) {
    this.changed = changed
  }

  get size(): number {
    return this.switches.size
  }

  /** @param state the state folder; its current content applies to new sites */
  use(state: string): void {
    this.folder = path.join(state, 'maintenance')
    this.onDisk = this.listed()
  }

  /** The switch of a site, by its first host; the same object for as long as a snapshot uses it. */
  of(site: string): { readonly on: boolean } {
    let held = this.switches.get(site)
    if (held === undefined) {
      held = { on: this.onDisk.has(nameOf(site)) }
      this.switches.set(site, held)
      if (held.on) this.changed(site, true)
    }
    return held
  }

  /** Throws UsageError if the state folder is not writable; then nothing is switched. */
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

  /** Takes over the changes of other processes. */
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
      // The state cannot be read: the current one stays.
      return new Set([...this.switches].flatMap(([site, { on }]) => (on ? [nameOf(site)] : [])))
    }
  }
}

/** The file name for a host, which may contain a star or brackets. */
const nameOf = (site: string): string => encodeURIComponent(site).replace('*', '%2A')
