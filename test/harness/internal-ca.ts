/** An internal CA in a folder of its own, and an ACME server before it without sockets. */
import { AcmeServer } from '../../src/acme-server/server.ts'
import type { AcmeServerTerms } from '../../src/acme-server/terms.ts'
import { createLog } from '../../src/base/log.ts'
import { internalAuthority } from '../../src/certs/authority.ts'
import { initInternalCa, openInternalCa } from '../../src/certs/internal-ca.ts'
import { TestAcmeClient } from './acme-client.ts'
import { temporaryFolder } from './certificates.ts'
import { MemoryStorage } from './memory-storage.ts'

export function internalCa(names: readonly string[] = []) {
  const state = temporaryFolder()
  initInternalCa(state, { name: 'Test internal CA', names })
  return { state, authority: internalAuthority(openInternalCa(state, null)) }
}

export const quietLog = () => createLog({ level: 'debug', format: 'json', out: () => {} })

export function acmeServer(change: Partial<AcmeServerTerms> = {}) {
  const { state, authority } = internalCa()
  const storage = new MemoryStorage()
  const baseUrl = 'https://ca.internal:9443'
  const terms: AcmeServerTerms = {
    baseUrl,
    authority,
    storage,
    log: quietLog(),
    lifetimeMs: 24 * 3_600_000,
    longestMs: 48 * 3_600_000,
    challenges: ['http-01'],
    allow: null,
    externalAccounts: new Map(),
    validate: async () => {},
    now: Date.now,
    ...change,
  }
  const server = new AcmeServer(terms)
  // Each from an address of its own, or they would share the limits.
  let clients = 0
  const client = () => {
    const made = new TestAcmeClient(baseUrl, request => server.handle(request))
    made.remote = `192.0.2.${++clients}`
    return made
  }
  return { state, authority, storage, terms, server, client }
}
