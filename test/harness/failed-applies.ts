/**
 * Configurations that fail, one at each step of gateway/apply.ts, each with everything in it that opens something: listeners, the
 * ACME server of the internal CA, watched files, CAs of clients, an upstream by name. As a program it tries to start each, and
 * must then end by itself.
 */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { initInternalCa } from '../../src/certs/ca/internal-ca.ts'
import type { ConfigInput } from '../../src/config/config.ts'
import { createGateway } from '../../src/index.ts'
import { issueFiles, temporaryFolder, testCa } from './certificates.ts'

export type Failure = {
  readonly step: string
  /** Null: it is wrong only for a gateway that runs */
  readonly start: RegExp | null
  readonly reload: RegExp
  readonly config: ConfigInput
}

export type Ports = {
  readonly base: number
  readonly listen: number
  readonly acme: number
  readonly admin: number
  /** Another program has it */
  readonly taken: number
}

export function failedApplies(ports: Ports): {
  base: ConfigInput
  good: ConfigInput
  failures: readonly Failure[]
} {
  const state = temporaryFolder('sallyport-failed-')
  initInternalCa(state, { name: 'CA of failures', names: [] })
  const ca = testCa()
  const pair = issueFiles(ca, ['a.test'])
  const client = path.join(state, 'clients.pem')
  const broken = path.join(state, 'broken.pem')
  writeFileSync(client, ca.certificatePem)
  writeFileSync(broken, 'nothing of the kind\n')
  const address = '127.0.0.1'
  const files = { chain: pair.chainFile, key: pair.keyFile }
  const site = {
    host: 'a.test',
    certificate: files,
    clients: { ca: client },
    to: { endpoints: ['https://localhost:1'], tls: { ca: client } },
  }
  const acme = (port: number) => ({
    allow: ['*.internal'],
    acme: { listen: { port, address }, host: 'localhost', challenges: ['http-01' as const] },
  })
  const log = { access: false, level: 'error' } as const
  const plain = { host: 'plain.test', certificate: 'local' as const, routes: [{ respond: { body: 'here' } }] }
  const base: ConfigInput = {
    state,
    log,
    listen: [{ port: ports.base, address, cleartext: 'serve' }],
    sites: [plain],
  }
  const good: ConfigInput = {
    ...base,
    listen: [...base.listen, { port: ports.listen, address }],
    sites: [plain, site],
    ca: acme(ports.acme),
  }
  const change = (more: object): ConfigInput => ({ ...good, ...more }) as ConfigInput
  const failures: Failure[] = [
    { step: 'validate', start: /nonsense/, reload: /nonsense/, config: change({ nonsense: 1 }) },
    {
      step: 'validate',
      start: /workers: 4 processes/,
      reload: /workers: 4 processes/,
      config: change({ workers: 4 }),
    },
    {
      step: 'validate',
      start: /admin: is opened by sallyport run/,
      reload: /admin: is opened/,
      config: change({ admin: { listen: { port: ports.admin } } }),
    },
    {
      step: 'diff',
      start: null,
      reload: /^state: cannot be changed/,
      config: change({ state: path.join(state, 'other') }),
    },
    {
      step: 'compile: a key pair',
      start: /broken\.pem/,
      reload: /broken\.pem/,
      config: change({
        sites: [plain, site, { ...site, host: 'b.test', certificate: { chain: broken, key: broken } }],
      }),
    },
    {
      step: 'compile: CAs of clients',
      start: /broken\.pem/,
      reload: /broken\.pem/,
      config: change({ sites: [plain, site, { ...site, host: 'b.test', clients: { ca: broken } }] }),
    },
    {
      step: 'compile: alerts',
      start: /broken\.pem/,
      reload: /broken\.pem/,
      config: change({ alerts: { url: 'https://alerts.test/', ca: broken } }),
    },
    {
      step: 'load: the internal CA',
      start: new RegExp(`cannot listen on .*${ports.taken}|EADDRINUSE`),
      reload: new RegExp(`cannot listen on .*${ports.taken}|EADDRINUSE`),
      config: change({ ca: acme(ports.taken) }),
    },
    {
      step: 'bind',
      start: new RegExp(`cannot listen on 127\\.0\\.0\\.1:${ports.taken} \\(EADDRINUSE\\)`),
      reload: new RegExp(`cannot listen on 127\\.0\\.0\\.1:${ports.taken} \\(EADDRINUSE\\)`),
      config: change({ listen: [...good.listen, { port: ports.taken, address }] }),
    },
  ]
  return { base, good, failures }
}

if (process.argv[1] === import.meta.filename) {
  const { failures } = failedApplies(JSON.parse(process.argv[2] as string) as Ports)
  for (const { step, start, config } of failures) {
    if (start === null) continue
    await createGateway(config, { selfTested: step !== 'bind' }).then(
      () => process.stdout.write(`it started: ${step}\n`),
      () => {},
    )
  }
  process.stdout.write('tried\n')
}
