/** An internal CA in a folder of its own, and an ACME server before it without sockets. */
import { readFileSync } from 'node:fs'
import https from 'node:https'
import { AcmeServer } from '../../src/acme-server/server.ts'
import type { AcmeServerTerms, Answer } from '../../src/acme-server/terms.ts'
import { createLog } from '../../src/base/log.ts'
import { internalAuthority } from '../../src/certs/ca/authority.ts'
import { initInternalCa, openInternalCa } from '../../src/certs/ca/internal-ca.ts'
import { loadConfig } from '../../src/config/load.ts'
import { startInternalCa } from '../../src/gateway/certificates/internal-ca.ts'
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

/** The ACME server of a configuration on a port of 127.0.0.1, with challenges that lead to 127.0.0.1 for these names. */
export async function servedCa(
  acme: Record<string, unknown>,
  resolve: readonly string[],
  more: Record<string, unknown> = {},
) {
  const state = temporaryFolder()
  initInternalCa(state, { name: 'Test internal CA', names: [] })
  const { config } = await loadConfig({
    value: {
      listen: [{ port: 0 }],
      sites: [{ host: 'localhost', certificate: 'local', routes: [{ respond: { body: 'x' } }] }],
      state,
      ca: {
        ...more,
        acme: {
          listen: { port: 0, address: '127.0.0.1' },
          host: 'localhost',
          networks: '127.0.0.0/8',
          resolve: Object.fromEntries(resolve.map(name => [name, '127.0.0.1'])),
          ...acme,
        },
      },
    },
  })
  const storage = new MemoryStorage()
  const lines: string[] = []
  const log = createLog({ level: 'debug', format: 'json', out: text => void lines.push(text) })
  const server = await startInternalCa(config, storage, log)
  const authority = internalAuthority(openInternalCa(state, null))
  return {
    state,
    config,
    storage,
    log,
    lines,
    server,
    authority,
    directory: server.directory() as string,
    rootFile: authority.ca.rootFile as string,
  }
}

/** A request over HTTPS, trusting the root of `rootFile`. */
export function askHttps(
  base: string,
  rootFile: string,
): (request: { method: string; path: string; contentType: string; body: Buffer }) => Promise<Answer> {
  const ca = readFileSync(rootFile)
  return ({ method, path, contentType, body }) =>
    new Promise((resolve, reject) => {
      const headers = method === 'POST' ? { 'content-type': contentType, 'content-length': body.length } : {}
      const request = https.request(base + path, { method, ca, agent: false, headers }, response => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', chunk => void (text += chunk))
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            fields: response.headers as Record<string, string>,
            body: text,
          }),
        )
        response.on('error', reject)
      })
      request.on('error', reject)
      request.end(body)
    })
}
