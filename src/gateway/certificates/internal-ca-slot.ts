/** The one internal CA server of a process, across reloads: it keeps running if its configuration is unchanged. */

import { messageOf, UsageError } from '../../base/errors.ts'
import { listenAt } from '../../base/listen-at.ts'
import type { Log } from '../../base/log.ts'
import { termsText } from '../../base/same-terms.ts'
import { openInternalCa } from '../../certs/ca/internal-ca.ts'
import type { Config } from '../../config/config.ts'
import type { Storage } from '../../model/storage.ts'
import { bindAlone } from '../../transport/bind-alone.ts'
import { type InternalCaServer, startInternalCa } from './internal-ca.ts'

export const servesAcme = ({ ca }: Config): boolean => ca !== null && ca.acme !== null

export class InternalCaSlot {
  private readonly log: Log
  private running: {
    readonly key: string
    readonly listen: Address | null
    readonly server: InternalCaServer
  } | null = null
  /** One change at a time: two at once would both start a server, and the slower one would win */
  private last: Promise<void> = Promise.resolve()

  constructor(log: Log) {
    this.log = log
  }

  /** The directory's URL while this process serves it, else null */
  get directory(): string | null {
    return this.running?.server.directory() ?? null
  }

  /**
   * Before a configuration is applied. If none runs yet, the server is started here; otherwise only what can be checked in
   * advance is checked, because the old server holds the lock. Throws UsageError.
   *
   * @returns whether it was started for this configuration: if that is not applied, close it
   */
  async prepare(config: Config, storage: Storage | null): Promise<boolean> {
    if (config.ca === null || storage === null || !servesAcme(config)) return false
    await this.last
    if (this.running === null) {
      await this.start(config, storage)
      return true
    }
    openInternalCa(config.state, config.ca.own)
    // With several processes, the serving one is about to change.
    if (this.directory !== null) await refuseTaken(this.running.listen, listenOf(config))
    return false
  }

  /** The configuration was applied. */
  use(config: Config, storage: Storage | null): Promise<void> {
    return this.inTurn(() => this.change(config, storage))
  }

  close(): Promise<void> {
    return this.inTurn(() => this.end())
  }

  private inTurn(change: () => Promise<void>): Promise<void> {
    const done = this.last.then(change)
    this.last = done.catch(() => {})
    return done
  }

  private async change(config: Config, storage: Storage | null): Promise<void> {
    if (this.running?.key === keyOf(config)) return
    await this.end()
    if (storage === null || !servesAcme(config)) return
    try {
      await this.start(config, storage)
    } catch (error) {
      this.log.write('error', 'the ACME server of the internal CA does not run', { why: messageOf(error) })
    }
  }

  private async end(): Promise<void> {
    const { running } = this
    this.running = null
    await running?.server.close()
  }

  private async start(config: Config, storage: Storage): Promise<void> {
    const server = await startInternalCa(config, storage, this.log)
    this.running = { key: keyOf(config), listen: listenOf(config), server }
  }
}

type Address = { readonly address: string; readonly port: number }

const listenOf = ({ ca }: Config): Address | null => ca?.acme?.listen ?? null

/** Throws UsageError if the server could not listen at its new address. An address on its current port is in use by the server itself. */
async function refuseTaken(before: Address | null, after: Address | null): Promise<void> {
  if (after === null || after.port === 0 || before?.port === after.port) return
  try {
    await listenAt(after.address, address => bindAlone(address, after.port))
  } catch (error) {
    throw new UsageError(`ca.acme.listen: cannot listen on ${after.address}:${after.port}: ${messageOf(error)}`)
  }
}

/** If the terms are the same, the server keeps running. */
export const keyOf = ({ ca, state, storage }: Pick<Config, 'ca' | 'state' | 'storage'>): string =>
  termsText([ca, state, storage])
