/**
 * The note of an order under way: its key, and what its issuer has said. It is in storage before the issuer acts on it, so
 * that a process that dies at any moment, or that storage fails, orders nothing twice.
 */
import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { Lease } from '../../model/storage.ts'
import type { ManagedKey, PendingRecord, Records } from './records.ts'

/** An order under way is not taken up again after this: issuers forget them within a week. */
const pendingMs = 7 * 86_400_000

type OrderNoteOptions = {
  readonly records: Records
  readonly keyType: ManagedKey
  /** Issuer.name */
  readonly issuer: string
  /** Milliseconds since 1970 */
  readonly now: () => number
}

export class OrderNote {
  private readonly options: OrderNoteOptions
  /** What storage could not take: the next try goes on with it */
  private unkept: PendingRecord | null = null

  constructor(options: OrderNoteOptions) {
    this.options = options
  }

  /**
   * The order of a process that died, or of this one before it failed for a while; else a new one with a key of its own.
   * @param keyInForce of the certificate in force: an order with this key would bring the same certificate again
   */
  async open(lease: Lease, keyInForce: string | null): Promise<PendingRecord> {
    const { records, keyType, issuer, now } = this.options
    const pending = this.unkept ?? (await records.pending())
    const isOurs = pending !== null && pending.issuer === issuer && now() - pending.startedAt < pendingMs
    // The process that got the certificate in force may have died before it could clear up.
    if (isOurs && pending.keyPem !== keyInForce) {
      if (pending === this.unkept) await records.putPending(pending, lease)
      this.unkept = null
      return pending
    }
    const fresh = { keyPem: await makeKey(keyType), issuer, progress: null, startedAt: now() }
    await records.putPending(fresh, lease)
    return fresh
  }

  /** `progress` for the issuer; `failed` is aborted with what storage said where it could not take it. */
  writer(
    pending: PendingRecord,
    lease: Lease,
  ): { readonly progress: (text: string) => Promise<void>; readonly failed: AbortSignal } {
    const failed = new AbortController()
    return {
      failed: failed.signal,
      progress: async text => {
        const now = { ...pending, progress: text }
        try {
          await this.options.records.putPending(now, lease)
        } catch (error) {
          this.unkept = now
          failed.abort(error)
          throw error
        }
      },
    }
  }

  /** A certificate is in force: what could not be noted about its order does not matter any more. */
  forget(): void {
    this.unkept = null
  }
}

const generate = promisify(generateKeyPair)

/** Off the event loop: an RSA key takes a tenth of a second. */
async function makeKey(type: ManagedKey): Promise<string> {
  const { privateKey } =
    type === 'ecdsa'
      ? await generate('ec', { namedCurve: 'P-256' })
      : await generate('rsa', { modulusLength: 2048 })
  return (privateKey as KeyObject).export({ type: 'pkcs8', format: 'pem' }) as string
}
