/**
 * The internal CA's ACME server as part of a gateway. Of all processes that share a storage, the one that
 * holds the lock serves it, so that nonces and limits are in one place. If it dies or loses the lock, another takes over
 * within seconds, with the same accounts and orders; clients get a badNonce and retry by themselves.
 *
 * The keys of the CA are in the state folder: in a fleet, only on the nodes that should be able to take over.
 */
import { allowList } from '../../acme-server/names.ts'
import { requestMs, type ServedAcme, serveAcme } from '../../acme-server/serve.ts'
import { validator } from '../../acme-server/validate.ts'
import { messageOf, UsageError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { internalAuthority } from '../../certs/ca/authority.ts'
import { openInternalCa } from '../../certs/ca/internal-ca.ts'
import type { AcmeServerConfig, CaConfig, Config } from '../../config/config.ts'
import { AuthorityError } from '../../model/authority.ts'
import type { Lease, Storage } from '../../model/storage.ts'

export type InternalCaServer = {
  /** The directory's URL while this process serves it, else null */
  directory(): string | null
  close(): Promise<void>
}

const takeOverMs = 5_000
const pruneMs = 24 * 3_600_000

/**
 * Throws UsageError if it could not serve: there is no CA, its own name is not allowed, or the port is taken. A process
 * that does not get the lock returns at once and waits for it in the background.
 */
export async function startInternalCa(
  config: Pick<Config, 'ca' | 'state'>,
  storage: Storage,
  log: Log,
): Promise<InternalCaServer> {
  const { ca } = config
  if (ca === null || ca.acme === null) return { directory: () => null, close: async () => {} }
  const server = new ElectedServer(ca, ca.acme, config.state, storage, log)
  await server.start()
  return { directory: () => server.directory, close: () => server.close() }
}

class ElectedServer {
  readonly #ca: CaConfig
  readonly #acme: AcmeServerConfig
  readonly #state: string
  readonly #storage: Storage
  readonly #log: Log
  #served: ServedAcme | null = null
  #lease: Lease | null = null
  #closed = false
  #retry: NodeJS.Timeout | null = null
  #prune: NodeJS.Timeout | null = null

  constructor(ca: CaConfig, acme: AcmeServerConfig, state: string, storage: Storage, log: Log) {
    this.#ca = ca
    this.#acme = acme
    this.#state = state
    this.#storage = storage
    this.#log = log
  }

  get directory(): string | null {
    return this.#served?.directory ?? null
  }

  async start(): Promise<void> {
    const { own } = this.#ca
    // Every process checks, so that a mistake is reported at the start and not at the takeover.
    const ca = openInternalCa(this.#state, own)
    for (const warning of ca.warnings) this.#log.write('warn', warning)
    await this.#tryToServe()
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#retry !== null) clearTimeout(this.#retry)
    await this.#stop()
  }

  /** Throws UsageError if this process has the lock and cannot serve. */
  async #tryToServe(): Promise<void> {
    if (this.#closed) return
    const lease = await this.#storage.lock('internal-ca').catch(error => {
      this.#log.write('warn', 'internal CA: the lock cannot be had', { reason: messageOf(error) })
      return null
    })
    if (lease === null) {
      this.#later()
      return
    }
    this.#lease = lease
    try {
      await this.#serve(lease)
    } catch (error) {
      await this.#stop()
      throw error instanceof AuthorityError ? new UsageError(`ca.acme.host: ${error.message}`) : error
    }
    if (this.#closed) await this.#stop()
  }

  async #serve(lease: Lease): Promise<void> {
    const { listen, host, challenges, http01Port, tlsAlpn01Port, networks, resolve, resolvers } = this.#acme
    const authority = internalAuthority(openInternalCa(this.#state, this.#ca.own))
    const externalAccounts = [...this.#acme.externalAccounts].map(
      ([id, { key, allow }]) => [id, { key, allow: allowList(allow) }] as const,
    )
    this.#served = await serveAcme({
      ...listen,
      host,
      authority,
      storage: this.#storage,
      log: this.#log,
      lifetimeMs: this.#ca.lifetimeMs,
      longestMs: this.#ca.maxLifetimeMs,
      challenges,
      allow: this.#ca.allow.length === 0 ? null : allowList(this.#ca.allow),
      externalAccounts: new Map(externalAccounts),
      validate: validator({ http01Port, tlsAlpn01Port, networks, resolve, resolvers }),
      now: Date.now,
      requestMs,
    })
    this.#log.write('info', 'internal CA: ACME server listens', {
      directory: this.#served.directory,
      ca: authority.name,
    })
    const lost = () => {
      if (this.#closed) return
      this.#log.write('warn', 'internal CA: the lock was lost; another process may serve ACME')
      void this.#stop().then(() => this.#later())
    }
    if (lease.lost.aborted) lost()
    else lease.lost.addEventListener('abort', lost, { once: true })
    const prune = () => {
      try {
        authority.records.prune(Date.now())
      } catch (error) {
        this.#log.write('warn', 'internal CA: old records were not removed', { reason: messageOf(error) })
      }
    }
    prune()
    this.#prune = setInterval(prune, pruneMs)
    this.#prune.unref()
  }

  #later(): void {
    if (this.#closed) return
    this.#retry = setTimeout(() => {
      this.#tryToServe().catch(error => {
        this.#log.write('error', 'internal CA: cannot serve ACME; trying again', { reason: messageOf(error) })
        this.#later()
      })
    }, takeOverMs)
    this.#retry.unref()
  }

  async #stop(): Promise<void> {
    if (this.#prune !== null) clearInterval(this.#prune)
    const [served, lease] = [this.#served, this.#lease]
    this.#served = null
    this.#lease = null
    await served?.close()
    await lease?.release().catch(() => {})
  }
}
