/** Finds out what a TLS server accepts, by asking: which versions, and for each which ciphers and groups. */
import net from 'node:net'
import { Gathered } from '../../base/gathered.ts'
import { cipherIds, groupIds } from '../../model/policies.ts'
import { type Question, writeClientHello } from '../../wire/client-hello-write.ts'
import { readServerAnswer, type ServerAnswer } from '../../wire/server-hello.ts'
import { versionName } from '../../wire/tls-names.ts'
import { mostPieces } from './connect.ts'
import { askFlight, type Flight } from './flight.ts'
import { answerMs, type Reached } from './reach.ts'

export type Accepted = {
  /** `TLS 1.3`, the newest first */
  readonly version: string
  /** OpenSSL names where there is one, in the order in which the server chose them */
  readonly ciphers: readonly string[]
  readonly groups: readonly string[]
}

const suites13 = [0x1301, 0x1302, 0x1303, 0x1304, 0x1305]
/** All that was ever registered for TLS 1.2 and older, the weak ones too. */
const olderSuites = [...range(0x0001, 0x00c5), ...range(0xc001, 0xc0af), ...range(0xcca8, 0xccae)].filter(
  id => id !== 0x00ff,
)
const groups = [...Object.values(groupIds), 0x001e, 0x0100, 0x0101]
/** Some servers drop hellos that are too long for one packet. */
const atOnce = 100

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}

export type Scanned = {
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
    const asked = (some: readonly number[]): Question => ({
      version,
      suites: ciphers,
      groups: some,
      serverName: target.serverName,
    })
    const own = await enumerate(groups, asked, target, answer => answer.group)
    found.push({ version: versionName(version), ciphers: ciphers.map(cipherNameOf), groups: own.map(groupNameOf) })
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
    const gathered = new Gathered()
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
const cipherNameOf = (id: number): string => nameIn(cipherIds, id)
const groupNameOf = (id: number): string =>
  id === 0x1e ? 'X448' : id === 0x100 ? 'ffdhe2048' : id === 0x101 ? 'ffdhe3072' : nameIn(groupIds, id)
