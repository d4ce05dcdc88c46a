/**
 * State of features that outlives configurations: pages in files, and which sites are in maintenance. One timer keeps it up to date for as
 * long as a snapshot uses any of it.
 */
import type { Log } from '../base/log.ts'
import type { Lasting } from '../features/feature.ts'
import { Maintenance } from './maintenance.ts'
import { WatchedPage } from './watched-page.ts'

const lookMs = 1_000
/** Pages per tick: each is one stat */
const looksPerTick = 500

/** What a snapshot uses. */
export type LastingUsed = { readonly pages: ReadonlySet<string>; readonly sites: ReadonlySet<string> }

export class LastingParts {
  readonly maintenance: Maintenance
  private readonly pages = new Map<string, WatchedPage>()
  private readonly log: Log | null
  private queue: WatchedPage[] = []
  private timer: NodeJS.Timeout | null = null

  constructor(log: Log | null) {
    this.log = log
    this.maintenance = new Maintenance((site, on) =>
      log?.write(on ? 'warn' : 'info', on ? 'the site is in maintenance' : 'the site is no longer in maintenance', {
        site,
      }),
    )
  }

  /** For a snapshot that is about to be compiled. */
  attempt(state: string): Lasting & { readonly used: LastingUsed } {
    this.maintenance.use(state)
    const used = { pages: new Set<string>(), sites: new Set<string>() }
    return {
      used,
      page: file => {
        const page = this.page(file, !used.pages.has(file))
        used.pages.add(file)
        return page
      },
      maintenance: site => {
        used.sites.add(site)
        return this.maintenance.of(site)
      },
    }
  }

  /** The snapshot that uses these was applied, or stays. */
  keepOnly({ pages, sites }: LastingUsed): void {
    for (const file of this.pages.keys()) if (!pages.has(file)) this.pages.delete(file)
    this.maintenance.keepOnly(sites)
    this.queue = []
    if (this.pages.size + this.maintenance.size === 0) this.close()
    else this.timer ??= setInterval(() => this.look(), lookMs).unref()
  }

  close(): void {
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
  }

  private page(file: string, first: boolean): WatchedPage {
    const known = this.pages.get(file)
    if (known !== undefined) {
      if (first) known.refresh()
      return known
    }
    const page = new WatchedPage(file)
    this.pages.set(file, page)
    return page
  }

  private look(): void {
    this.maintenance.look()
    if (this.queue.length === 0) this.queue = [...this.pages.values()]
    for (const page of this.queue.splice(-looksPerTick)) {
      const look = page.look()
      if (look.kind === 'replaced') this.log?.write('info', 'page replaced', { file: page.file })
      if (look.kind === 'broken')
        this.log?.write('warn', 'a changed page cannot be used; the one before stays', { why: look.why })
    }
  }
}
