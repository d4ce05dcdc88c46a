/** Pebble with its challenge test server, as processes: a real ACME CA that refuses nonces and reuses authorizations at random. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import https from 'node:https'
import path from 'node:path'
import { issueFiles, type TestCa, temporaryFolder } from './certificates.ts'
import { freePort, listening } from './ports.ts'

/** A newer one than the system's may be named: Pebble has renewal information from 2.5 on. */
export const pebbleCommand = process.env['PEBBLE'] ?? 'pebble'

export const pebbleIsMissing =
  ['pebble-challtestsrv', pebbleCommand]
    .filter(command => spawnSync(command, ['-help']).error !== undefined)
    .join(', ') || false

export type Pebble = {
  readonly directory: string
  /** Where Pebble looks for http-01 and tls-alpn-01 answers, unless the test server has these ports */
  readonly httpPort: number
  readonly tlsPort: number
  /** The test server's DNS, which Pebble asks: `127.0.0.1:PORT` */
  readonly dns: string
  /** Tells the test server: `add-http01`, `set-txt` and so on */
  tell(what: string, body: object): Promise<void>
  /** The root of what it issues, PEM, made at its start */
  root(): Promise<string>
  /** From 2.7 on */
  readonly hasProfiles: boolean
  stop(): void
}

export type PebbleOptions = {
  /** For Pebble's own TLS */
  readonly ca: TestCa
  /** Key id to HMAC key: accounts need an external one */
  readonly externalKeys?: Readonly<Record<string, string>>
  /** The ports for http-01 and tls-alpn-01 are left free for somebody else */
  readonly ownAnswers?: boolean
  /** Another DNS server for Pebble to ask */
  readonly dns?: string
  readonly env?: Readonly<Record<string, string>>
  /** Each profile with the life of its certificates in seconds; a Pebble without profiles gives `default`'s to all. */
  readonly profiles?: Readonly<Record<string, number>>
}

export async function startPebble(options: PebbleOptions): Promise<Pebble> {
  const { ca, externalKeys, ownAnswers, dns, env = {}, profiles = { default: 7_776_000 } } = options
  const [port, management, httpPort, tlsPort, dnsPort, tellPort] = (await Promise.all(
    Array.from({ length: 6 }, freePort),
  )) as [number, number, number, number, number, number]
  const { chainFile, keyFile } = issueFiles(ca, ['localhost', '127.0.0.1'])
  const file = path.join(temporaryFolder(), 'pebble.json')
  const pebble = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: chainFile,
    privateKey: keyFile,
    httpPort,
    tlsPort,
    ocspResponderURL: '',
    externalAccountBindingRequired: externalKeys !== undefined,
    externalAccountMACKeys: externalKeys ?? {},
    // Up to 2.6; it has profiles from 2.7 on, and draws one where none is asked for.
    certificateValidityPeriod: profiles['default'],
    profiles: Object.fromEntries(
      Object.entries(profiles).map(([name, validityPeriod]) => [
        name,
        { description: 'for tests', validityPeriod },
      ]),
    ),
  }
  writeFileSync(file, JSON.stringify({ pebble }))
  const stdio = process.env['PEBBLE_LOG'] === undefined ? 'ignore' : 'inherit'
  const answers = ownAnswers
    ? ['-http01', '', '-tlsalpn01', '']
    : ['-http01', `127.0.0.1:${httpPort}`, '-tlsalpn01', `127.0.0.1:${tlsPort}`]
  const children: ChildProcess[] = [
    spawn(
      'pebble-challtestsrv',
      [
        ...answers,
        '-https01',
        '',
        '-doh',
        '',
        '-dns01',
        `127.0.0.1:${dnsPort}`,
        // Its name in later versions
        '-dnsserver',
        `127.0.0.1:${dnsPort}`,
        '-management',
        `127.0.0.1:${tellPort}`,
        '-defaultIPv4',
        '127.0.0.1',
        '-defaultIPv6',
        '',
      ].filter((_, at, all) => spawnOptions.has(all[at - (at % 2)] as string)),
      { stdio },
    ),
    spawn(pebbleCommand, ['-config', file, '-dnsserver', dns ?? `127.0.0.1:${dnsPort}`, '-strict'], {
      stdio,
      env: {
        ...process.env,
        PEBBLE_VA_NOSLEEP: '1',
        PEBBLE_WFE_NONCEREJECT: '30',
        PEBBLE_AUTHZREUSE: '50',
        ...env,
      },
    }),
  ]
  const stop = () => {
    for (const child of children) child.kill()
  }
  process.on('exit', stop)
  await Promise.all([listening(port), listening(tellPort)])
  const directory = `https://127.0.0.1:${port}/dir`
  const { meta } = JSON.parse(await getText(directory, ca.certificatePem))
  return {
    directory,
    hasProfiles: meta?.profiles !== undefined,
    httpPort,
    tlsPort,
    dns: `127.0.0.1:${dnsPort}`,
    async tell(what, body) {
      const answer = await fetch(`http://127.0.0.1:${tellPort}/${what}`, {
        method: 'POST',
        body: JSON.stringify(body),
      })
      if (!answer.ok) throw new Error(`${what}: ${answer.status}`)
    },
    root: () => getText(`https://127.0.0.1:${management}/roots/0`, ca.certificatePem),
    stop,
  }
}

/** With a CA of its own, which `fetch` takes on Bun only. */
export function getText(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = https.get(url, { ca, agent: false, headers: { 'user-agent': 'sallyport-tests' } }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', chunk => void (text += chunk))
      response.on('end', () => resolve(text))
    })
    request.on('error', reject)
  })
}

const known = spawnSync('pebble-challtestsrv', ['-help'], { encoding: 'utf8' })
/** Options that differ between versions of the test server are given only where it has them. */
const spawnOptions = new Set(
  [...`${known.stdout}${known.stderr}`.matchAll(/^\s+(-\w+)/gm)].map(found => found[1] as string),
)
