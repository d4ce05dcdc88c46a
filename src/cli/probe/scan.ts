/** Finds out what a TLS server accepts, by asking: which versions, and for each which ciphers and groups. */
import net from 'node:net'
import { Gathered } from '../../base/gathered.ts'
import { cipherIds, groupIds } from '../../model/policies.ts'
import { type CipherGrade, cipherGrade, usesGroup } from '../../wire/cipher-names.ts'
import { type Question, writeClientHello } from '../../wire/client-hello-write.ts'
import { readServerAnswer, type ServerAnswer } from '../../wire/server-hello.ts'
import { cipherName, versionName } from '../../wire/tls-names.ts'
import { mostPieces } from './connect.ts'
import { askFlight, type Flight } from './flight.ts'
import { answerMs, type Reached } from './reach.ts'

export type Accepted = {
  /** `TLS 1.3`, the newest first */
  readonly version: string
  /** Names as in policies where they have one, else as in IANA's registry, in the order in which the server chose them */
  readonly ciphers: readonly string[]
  /** Those of a key exchange in which the client names groups: (EC)DHE over curves, and all of TLS 1.3 */
  readonly groups: readonly string[]
  /** Ciphers that are worth less than an A */
  readonly graded: readonly (CipherGrade & { readonly cipher: string })[]
}

const suites13 = [0x1301, 0x1302, 0x1303, 0x1304, 0x1305, 0x00c6, 0x00c7]
/** All that was ever registered for TLS 1.2 and older, the weak ones too, but GOST's and what is for wireless alone. */
const olderSuites = [
  ...range(0x0001, 0x00c5),
  ...range(0xc001, 0xc0af),
  ...range(0xcca8, 0xccae),
  ...range(0xd001, 0xd005),
]

/** What this probe does not look at, for the report: what is not in it was not found to be well. */
export const notLookedAt: readonly string[] = [
  'SSL 2.0, SSL 3.0, DTLS, QUIC; GOST, ECCPWD and private-use ciphers',
  'the size of DHE groups, signature algorithms, 0-RTT, compression, renegotiation, downgrade protection',
  'known vulnerabilities of implementations',
  'revocation, OCSP stapling, certificate transparency',
  'other names, addresses and ports of this server, STARTTLS',
]
const groups = [...Object.values(groupIds), 0x001e, 0x0100, 0x0101]
/** Some servers drop hellos that are too long for one packet. */
const atOnce = 100

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}

type Scanned = {
  readonly accepted: readonly Accepted[]
  /** Of the newest version before TLS 1.3; null where there is none */
  readonly flight: Flight | null
}

export async function scan(target: Reached, progress: (text: string) => void): Promise<Scanned> {
  const found: Accepted[] = []
  let flight: Flight | null = null
  for (const version of [0x0304, 0x0303, 0x0302, 0x0301]) {
    progress(`${versionName(version)} ...`)
    const all = version === 0x0304 ? suites13 : olderSuites
    const ciphers = await enumerate(
      all,
      suites => ({ version, suites, groups, serverName: target.serverName }),
      target,
      answer => answer.suite,
    )
    if (ciphers.length === 0) continue
    if (version < 0x0304) flight ??= await askFlight(target, version, ciphers)
    // With another key exchange among them a server may prefer that one, and no group would ever be seen.
    const exchanging = version === 0x0304 ? ciphers : ciphers.filter(id => usesGroup(cipherName(id)))
    const asked = (some: readonly number[]): Question => ({
      version,
      suites: exchanging,
      groups: some,
      serverName: target.serverName,
    })
    const own = exchanging.length === 0 ? [] : await enumerate(groups, asked, target, answer => answer.group)
    found.push({
      version: versionName(version),
      ciphers: ciphers.map(cipherNameOf),
      groups: own.map(groupNameOf),
      graded: ciphers
        .map(id => ({ cipher: cipherNameOf(id), ...cipherGrade(cipherName(id)) }))
        .filter(each => each.grade !== 'A'),
    })
  }
  return { accepted: found, flight }
}

type Hello = Extract<ServerAnswer, { kind: 'hello' }>

/** Asks again and again, each time without what was accepted before, until nothing more is. */
async function enumerate(
  all: readonly number[],
  question: (some: readonly number[]) => Question,
  target: Reached,
  chosen: (answer: Hello) => number | null,
): Promise<number[]> {
  const accepted: number[] = []
  for (let from = 0; from < all.length; from += atOnce) {
    let left = all.slice(from, from + atOnce)
    while (left.length > 0) {
      const asked = question(left)
      const answer = await ask(target, asked)
      if (answer.kind !== 'hello' || answer.version !== asked.version) break
      const value = chosen(answer)
      if (value === null || !left.includes(value)) break
      accepted.push(value)
      left = left.filter(each => each !== value)
    }
  }
  return accepted
}

/** Rejects where there is no connection; silence and closing count as a refusal. */
function ask({ address, port }: Reached, question: Question): Promise<ServerAnswer> {
  return new Promise((resolve, reject) => {
    const gathered = new Gathered(null)
    let pieces = 0
    let open = false
    const socket = net.connect({ host: address, port }, () => {
      open = true
      socket.write(writeClientHello(question))
    })
    const settle = (answer: ServerAnswer) => {
      resolve(answer)
      socket.destroy()
    }
    socket.setTimeout(answerMs, () => (open ? settle(refused) : socket.destroy(new Error('does not answer'))))
    socket.on('data', (chunk: Buffer) => {
      gathered.append(chunk)
      const answer = readServerAnswer(gathered.view())
      if (answer.kind !== 'incomplete' || ++pieces > mostPieces || gathered.length > 200_000) settle(answer)
    })
    socket.on('error', error => (open ? settle(refused) : reject(error)))
    socket.on('close', () => settle(refused))
  })
}

const refused: ServerAnswer = { kind: 'refused', description: -1 }
const nameIn = (table: Readonly<Record<string, number>>, id: number): string =>
  Object.entries(table).find(([, value]) => value === id)?.[0] ?? `0x${id.toString(16).padStart(4, '0')}`
const cipherNameOf = (id: number): string => {
  const name = nameIn(cipherIds, id)
  return name.startsWith('0x') ? cipherName(id) : name
}
const groupNameOf = (id: number): string =>
  id === 0x1e ? 'X448' : id === 0x100 ? 'ffdhe2048' : id === 0x101 ? 'ffdhe3072' : nameIn(groupIds, id)
