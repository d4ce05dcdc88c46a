/**
 * A gateway process killed (SIGKILL) at every step of an order, and started again: before and after each request to the
 * CA, and at every change of what is in storage. It always ends with a certificate, the old one serves from the first
 * moment on, and what was kept of an order is gone on with.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { temporaryFolder } from '../harness/certificates.ts'
import { type FakeAcme, fakeAcme, type RequestKind } from '../harness/fake-acme.ts'
import { type GatewayProcess, spawnGateway } from '../harness/gateway-process.ts'
import { fingerprintOf, seedCertificate } from '../harness/kept-certificate.ts'
import { freePort } from '../harness/ports.ts'
import { isLong, sized } from '../harness/scale.ts'
import { eventually } from '../harness/until.ts'

const name = 'shop.test'
/** Processes at the same time: a start is mostly computing. */
const atOnce = 3

type Killer = {
  /** Named in messages */
  readonly at: string
  /** Begins before the process starts; calls `kill` when it is time */
  arm(kill: () => void, fake: FakeAcme, storage: string): void
}

const says = (message: string) => (record: Record<string, unknown>) => record['message'] === message

class Round {
  readonly state = temporaryFolder('sallyport-state-')
  readonly storage = path.join(this.state, 'storage')
  readonly fake: FakeAcme
  readonly seeded: boolean

  constructor(fake: FakeAcme, seeded: boolean) {
    this.fake = fake
    this.seeded = seeded
  }

  async start(): Promise<{ gateway: GatewayProcess; port: number }> {
    const port = await freePort()
    const gateway = spawnGateway({
      state: this.state,
      listen: [{ port, address: '127.0.0.1' }],
      sites: [{ host: name, certificate: 'acme', routes: [{ respond: { status: 200, body: 'hello' } }] }],
      acme: { directory: this.fake.url, email: 'ops@example.com', challenges: ['tls-alpn-01'] },
    })
    return { gateway, port }
  }

  files(): string[] {
    try {
      return readdirSync(this.storage, { recursive: true }).map(String).sort()
    } catch {
      return []
    }
  }

  /** What storage has of the order under way, or null. */
  progress(): string | null {
    try {
      return JSON.parse(readFileSync(path.join(this.storage, `pending/${name}.ecdsa`), 'utf8')).progress
    } catch {
      return null
    }
  }

  shown(port: number): Promise<string> {
    return fingerprintOf(port, name, this.fake.ca)
  }
}

/** @returns whether the process was still there to be killed */
async function killed({ at, arm }: Killer, seeded: boolean): Promise<boolean> {
  const round = new Round(await fakeAcme(), seeded)
  const { fake } = round
  try {
    if (seeded) await seedCertificate(round.state, fake.ca, fake.url, name)
    const first = await round.start()
    let died = false
    arm(
      () => {
        died = true
        first.gateway.child.kill('SIGKILL')
      },
      fake,
      round.storage,
    )
    await first.gateway.logged(says('certificate obtained')).catch(() => {})
    if (!died) await first.gateway.stop()
    await first.gateway.kill()
    fake.script = () => null
    const known = round.progress() !== null
    const [ordered, got] = [fake.orders.size, fake.count('cert')]
    const second = await round.start()
    try {
      await second.gateway.ready
      // From its first moment on it has what there was.
      if (seeded) await round.shown(second.port)
      const isDone = () => round.files().includes(`certificates/${name}.ecdsa`) && round.progress() === null
      const isNew = async () => {
        const text = readFileSync(path.join(round.storage, `certificates/${name}.ecdsa`), 'utf8')
        return JSON.parse(text).obtainedAt > Date.now() - 86_400_000
      }
      await eventually('a new certificate is kept', async () => isDone() && (await isNew()))
      await round.shown(second.port)
      if (known) assert.equal(fake.orders.size, ordered, `${at}: ordered again, though the order was known`)
      assert.ok(fake.orders.size <= 2, `${at}: ${fake.orders.size} orders`)
      assert.equal(fake.accounts.size, 1, `${at}: the account was lost`)
      assert.ok(fake.count('finalize') <= 2 && fake.count('cert') <= got + 1, at)
      const logs = [...first.gateway.logs(), ...second.gateway.logs()]
      assert.deepEqual(
        logs.filter(record => record['level'] === 'error' || /damaged/.test(JSON.stringify(record))),
        [],
        at,
      )
    } finally {
      await second.gateway.stop()
    }
    // An answer that nobody took away ends by itself within an hour.
    assert.deepEqual(
      round.files().filter(file => /\.part$|damaged|^(pending|failures)\/./.test(file)),
      [],
      at,
    )
    return died
  } finally {
    await fake.close()
  }
}

async function all(rounds: (() => Promise<boolean>)[]): Promise<number> {
  let count = 0
  const rest = [...rounds]
  const worker = async () => {
    for (let round = rest.shift(); round !== undefined; round = rest.shift()) if (await round()) count++
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return count
}

/** Kills at the request with this number. @param reset whether the CA still carries it out */
const atRequest = (index: number, reset: 'before' | 'after'): Killer => ({
  at: `${reset} request ${index}`,
  arm(kill, fake) {
    fake.script = seen => {
      if (seen.index !== index) return null
      kill()
      return { reset }
    }
  },
})

/** Kills when the listing of the storage, with sizes, has changed so many times. */
const atChange = (count: number): Killer => ({
  at: `change ${count} of storage`,
  arm(kill, _fake, storage) {
    let last = listing(storage)
    let left = count
    const changed = () => {
      const now = listing(storage)
      if (now !== last) left--
      last = now
      return left === 0
    }
    // A storage that changes less often than that is served from to the end: it is counted as not killed.
    eventually(`change ${count} of storage`, changed, 10_000).then(kill, () => {})
  },
})

function listing(folder: string): string {
  try {
    return readdirSync(folder, { recursive: true })
      .map(file => `${file} ${statSync(path.join(folder, String(file))).size}`)
      .join()
  } catch {
    return ''
  }
}

describe('a gateway killed in the middle of an order', () => {
  let requests: RequestKind[] = []

  test('makes so many requests when nobody kills it', async () => {
    const never: Killer = {
      at: 'never',
      arm(_, fake) {
        fake.script = seen => {
          requests.push(seen.kind)
          return null
        }
      },
    }
    assert.equal(await killed(never, false), false)
    requests = requests.slice(0, requests.lastIndexOf('cert') + 1)
    for (const kind of [
      'directory',
      'newNonce',
      'newAccount',
      'newOrder',
      'authz',
      'challenge',
      'finalize',
      'cert',
    ])
      assert.ok(requests.includes(kind as RequestKind), `${kind} is not among ${requests}`)
  })

  test('before or after any of them: the next process ends with a certificate', async () => {
    // Each kind of request once, or each request.
    const chosen = requests
      .map((kind, index) => ({ kind, index }))
      .filter(({ kind, index }) => isLong || requests.indexOf(kind) === index)
    const rounds = chosen.flatMap(({ kind, index }) => {
      // What only reads is the same to the CA, carried out or not.
      const resets = ['directory', 'newNonce', 'authz', 'order', 'cert'].includes(kind)
        ? ['before']
        : ['before', 'after']
      return resets.map(reset => () => killed(atRequest(index, reset as 'before' | 'after'), index % 3 !== 0))
    })
    assert.equal(await all(rounds), rounds.length)
  })

  test('while it writes: nothing is left damaged', async () => {
    const changes = Array.from({ length: sized(4, 10) }, (_, at) => () => killed(atChange(at + 1), at % 3 !== 0))
    const died = await all(changes)
    // Whoever looks at the storage may be too slow to see a change, or to kill in time; not every time.
    assert.ok(died > 0, 'none was killed')
  })
})
