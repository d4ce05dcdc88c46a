/** Keys of session tickets: shared by whoever has the state folder, different for each terms and window, and forgotten. */
import assert from 'node:assert/strict'
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, it } from 'node:test'
import { TicketKeyring } from '../../src/tls/ticket-keys.ts'
import { TicketRootFile } from '../../src/tls/ticket-root.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { load } from './config-folder.ts'

const hour = 3_600_000
const terms = { rotateMs: hour, keep: 3 }

function keyring(state: string, clock: { ms: number }, own = terms) {
  const warnings: string[] = []
  const ring = new TicketKeyring(
    text => warnings.push(text),
    () => clock.ms,
  )
  ring.use(state, own)
  const keys = (context = 'a') => ring.windows().map(window => window.key(context).toString('hex'))
  return { ring, keys, warnings }
}

const fileOf = (state: string) => path.join(state, 'tickets', String(hour), 'root')

describe('ticket keys', () => {
  it('are the same for everybody with the folder, 48 bytes, and of the owner alone', () => {
    const state = temporaryFolder()
    const clock = { ms: 1000 * hour + 5 }
    const one = keyring(state, clock)
    assert.deepEqual(one.keys(), keyring(state, clock).keys())
    assert.equal(one.keys().length, 1)
    assert.equal(one.keys()[0]?.length, 96)
    assert.equal(statSync(fileOf(state)).mode & 0o777, 0o600)
    assert.deepEqual(readdirSync(path.join(state, 'tickets')), [String(hour)])
    assert.notDeepEqual(one.keys(), keyring(temporaryFolder(), clock).keys())
  })

  it('differ between terms in every part', () => {
    const { keys } = keyring(temporaryFolder(), { ms: hour })
    const [a, b] = [keys('a')[0] as string, keys('b')[0] as string]
    for (const at of [0, 32, 64]) assert.notEqual(a.slice(at, at + 32), b.slice(at, at + 32))
  })

  it('rotate, and stay for as many windows as are kept', () => {
    const clock = { ms: 500 * hour }
    const { ring, keys } = keyring(temporaryFolder(), clock)
    const seen: string[] = []
    for (let turn = 0; turn < 6; turn++, clock.ms += hour) {
      seen.unshift(keys()[0] as string)
      assert.deepEqual(keys(), seen.slice(0, 3))
      const windows = ring.windows()
      clock.ms += hour - 1
      assert.equal(ring.windows(), windows)
      clock.ms -= hour - 1
    }
    assert.equal(new Set(seen).size, 6)
    assert.equal(ring.lifetimeSeconds, 3 * 3600)
  })

  it('that have ended cannot be made from the file any more', () => {
    const state = temporaryFolder()
    const clock = { ms: 500 * hour }
    const first = keyring(state, clock)
    const [old] = first.keys()
    const before = readFileSync(fileOf(state), 'latin1')
    clock.ms += 3 * hour
    const now = first.keys()
    assert.notEqual(readFileSync(fileOf(state), 'latin1'), before)
    assert.match(readFileSync(fileOf(state), 'latin1'), /^501 /)
    assert.equal(statSync(fileOf(state)).mode & 0o777, 0o600)
    // A restart has those of the windows that are kept, even with a clock that has gone back.
    assert.deepEqual(keyring(state, clock).keys(), now)
    const back = keyring(state, { ms: 499 * hour })
    assert.ok(!back.keys().includes(old as string))
    // One that was away for long comes to the same keys.
    assert.deepEqual(keyring(state, { ms: 600 * hour }).keys(), (clock.ms = 600 * hour) && first.keys())
  })

  it('are those of the first, where two make the file at once', () => {
    const state = temporaryFolder()
    const root = (byte: number) => ({ window: 7, secret: Buffer.alloc(32, byte) })
    const late = new TicketRootFile(state, hour).open(() => {
      new TicketRootFile(state, hour).open(() => root(1))
      return root(2)
    })
    assert.equal(late.secret[0], 1)
    assert.deepEqual(readdirSync(path.join(state, 'tickets')), [String(hour)])
  })

  it("are the process's own where the file is no use, with a warning that does not tell secrets", () => {
    const clock = { ms: 500 * hour }
    for (const text of [
      '',
      'x',
      `500 ${'0'.repeat(64)}\n`,
      `500 ${'ab'.repeat(31)}\n`,
      `999999999 ${'ab'.repeat(32)}\n`,
    ]) {
      const state = temporaryFolder()
      keyring(state, clock)
      writeFileSync(fileOf(state), text)
      const one = keyring(state, clock)
      assert.equal(one.keys().length, 1)
      assert.notDeepEqual(one.keys(), keyring(state, clock).keys())
      assert.match(one.warnings.join(), /resume only within this process/)
      assert.ok(!one.warnings.join().includes('abab'))
    }
    const nowhere = keyring(path.join(fileOf(temporaryFolder()), '\0'), clock)
    assert.equal(nowhere.keys().length, 1)
    assert.equal(nowhere.warnings.length, 1)
  })

  it('warn of a file that others can read', () => {
    const state = temporaryFolder()
    keyring(state, { ms: hour })
    chmodSync(fileOf(state), 0o644)
    assert.match(keyring(state, { ms: hour }).warnings.join(), /chmod 600/)
  })

  it('survive a clock that goes back a little, and start anew after a great leap', () => {
    const clock = { ms: 500 * hour }
    const { keys, warnings } = keyring(temporaryFolder(), clock)
    clock.ms += 4 * hour
    const [, , oldest] = keys()
    clock.ms -= hour
    assert.ok(keys().includes(oldest as string))
    clock.ms -= 100 * hour
    assert.ok(!keys().includes(oldest as string))
    assert.equal(warnings.length, 1)
  })
})

describe('the configuration of tickets', () => {
  const tickets = (text: string) =>
    load(
      `listen: [{ port: 443 }]\ntickets: ${text}\nsites: [{ host: a.test, certificate: local, to: "http://b.test" }]`,
    )

  it('has defaults and bounds', async () => {
    const plain = await load(
      'listen: [{ port: 443 }]\nsites: [{ host: a.test, certificate: local, to: "http://b.test" }]',
    )
    assert.deepEqual(plain.config.tickets, { rotateMs: 12 * hour, keep: 3 })
    assert.deepEqual(plain.warnings, [])
    assert.deepEqual((await tickets('{ rotate: 6h, keep: 4 }')).config.tickets, { rotateMs: 6 * hour, keep: 4 })
    await assert.rejects(tickets('{ rotate: 1s }'), /tickets\.rotate is from 1m to 7d/)
    await assert.rejects(tickets('{ rotate: 8d }'), /tickets\.rotate is from 1m to 7d/)
    await assert.rejects(tickets('{ keep: 0 }'), /keep/)
    await assert.rejects(
      tickets('{ rotate: 1s, keep: 99 }'),
      ({ message }: Error) => /tickets\.rotate is from/.test(message) && /keep is 1 to 24, not 99/.test(message),
    )
  })

  it('is warned of where the runtime cannot have it', async () => {
    const { warnings } = await tickets('{ keep: 4 }')
    if (process.versions['bun'] === undefined) assert.deepEqual(warnings, [])
    else
      assert.match(
        warnings[0]?.message ?? '',
        /accepts no ticket keys, so this has no effect: sessions resume within one worker/,
      )
  })
})
