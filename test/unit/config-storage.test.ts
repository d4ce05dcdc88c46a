/** `storage:` in a configuration: what it becomes, what is refused, and that no secret is repeated. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { describe, it } from 'node:test'
import { UsageError } from '../../src/base/errors.ts'
import type { Config } from '../../src/config/config.ts'
import { openStorage } from '../../src/gateway/certificates/storage.ts'
import { isKind } from '../harness/storage-behaviour.ts'
import { around, load, problemsOf } from './config-folder.ts'

/** `@PW` stands for the variable */
const yaml = (storage: string) =>
  around('to: http://127.0.0.1:1', `storage: ${storage.replace('@PW', `"\${PW}"`)}\n`)
const storageOf = async (storage: string, env = {}, files = {}) =>
  (await load(yaml(storage), env, files)).config.storage

describe('storage in a configuration', () => {
  it('is files when nothing is said, and whole otherwise', async () => {
    const { config } = await load(around('to: http://127.0.0.1:1'))
    assert.deepEqual(config.storage, { redis: null, seal: null })
    assert.deepEqual(await storageOf('{}'), { redis: null, seal: null })
    const redis = {
      host: 'redis.internal',
      port: 6379,
      database: 0,
      tls: true,
      username: null,
      password: null,
      prefix: 'sallyport',
      caFile: null,
      certificate: null,
      leaseMs: 15_000,
    }
    assert.deepEqual((await storageOf('{ redis: rediss://Redis.Internal }')).redis, redis)
    assert.equal((await storageOf('{ redis: rediss://Redis.Internal, lease: 2s }')).redis?.leaseMs, 2_000)
    await assert.rejects(storageOf('{ redis: rediss://Redis.Internal, lease: 500ms }'), /lease is too short/)
    await assert.rejects(storageOf('{ lease: 5s }'), /lease is for Redis/)
    assert.deepEqual((await storageOf('{ redis: "rediss://u%40x:p%3aw@[::1]:7000/12", prefix: edge }')).redis, {
      ...redis,
      host: '::1',
      port: 7000,
      database: 12,
      username: 'u@x',
      password: 'p:w',
      prefix: 'edge',
    })
    const variables =
      '{ redis: rediss://redis.internal, username: gate, password: @PW, ca: ca.pem, certificate: { chain: a.pem, key: a.key } }'
    const found = (await storageOf(variables, { PW: 'p@ss:/#word' }, { 'ca.pem': '', 'a.pem': '', 'a.key': '' }))
      .redis!
    assert.deepEqual([found.username, found.password], ['gate', 'p@ss:/#word'])
    assert.ok(path.isAbsolute(found.caFile!) && path.isAbsolute(found.certificate!.keyFile))
    assert.deepEqual(await storageOf('{ seal: { passphrase: @PW } }', { PW: 'correct horse' }), {
      redis: null,
      seal: { secret: { passphrase: 'correct horse' }, previous: [] },
    })
    const { seal } = await storageOf(
      '{ seal: { keyFile: k, previous: { passphrase: "correct horse" } } }',
      {},
      { k: '' },
    )
    assert.ok(seal && 'keyFile' in seal.secret && path.isAbsolute(seal.secret.keyFile))
    assert.deepEqual(seal.previous, [{ passphrase: 'correct horse' }])
    const two = '{ seal: { keyFile: k, previous: [{ passphrase: "correct horse" }, { keyFile: k }] } }'
    assert.equal((await storageOf(two, {}, { k: '' })).seal?.previous.length, 2)
  })

  it('says what is wrong, and never with what', async () => {
    const wrong: [string, RegExp][] = [
      ['{ redis: "https://:hidden-word@h" }', /not the URL of a Redis server/],
      ['{ redis: "redis://:hidden-word@h/x" }', /not the URL of a Redis server/],
      ['{ redis: "redis://:hidden-word@h:0" }', /a port is 1 to 65535/],
      ['{ redis: "redis://:hidden-word@h_!:1" }', /has no host/],
      ['{ redis: "redis://:hidden-word%@h:1" }', /% is followed by/],
      ['{ redis: "redis://:hidden@word@h" }', /not the URL of a Redis server/],
      ['{ redis: 7 }', /redis/],
      ['{ redis: "rediss://:hidden-word@h", password: hidden-word }', /password is in the URL as well/],
      ['{ redis: redis://localhost, ca: sallyport.yaml }', /ca is for TLS/],
      ['{ prefix: edge }', /prefix is for Redis/],
      ['{ password: hidden-word }', /password is for Redis/],
      ['{ redis: rediss://h, password: "" }', /empty/],
      ['{ redis: rediss://h, prefix: "a b*" }', /cannot be a prefix/],
      ['{ seal: {} }', /needs a passphrase or a keyFile/],
      ['{ seal: { passphrase: "correct horse", keyFile: sallyport.yaml } }', /not both/],
      ['{ seal: { passphrase: hidden-word } }', /at least 12 characters/],
      ['{ seal: { passphrase: "correct horse", previous: [{}] } }', /needs a passphrase or a keyFile/],
      ['{ seal: { keyFile: nowhere.key } }', /nowhere\.key/],
      ['{ sael: {} }', /did you mean|seal/],
    ]
    for (const [storage, expected] of wrong) {
      const problems = await problemsOf(yaml(storage))
      assert.equal(problems.length, 1, `${storage}: ${problems.join('\n')}`)
      assert.match(problems[0]!, expected)
      assert.match(problems[0]!, /^sallyport\.yaml:\d+:\d+: /)
      assert.doesNotMatch(problems[0]!, /hidden/)
    }
    const warnings = async (storage: string) => (await load(yaml(storage))).warnings.length
    assert.equal(await warnings('{ redis: redis://redis.internal }'), 1)
    assert.equal(await warnings('{ redis: redis://127.0.0.1 }'), 0)
    assert.equal(await warnings('{ redis: rediss://redis.internal }'), 0)
  })
})

describe('what it opens', () => {
  const withState = async (
    act: (
      open: (storage: Config['storage']) => ReturnType<typeof openStorage>,
      state: string,
      warnings: string[],
    ) => Promise<void>,
  ) => {
    const state = mkdtempSync(path.join(os.tmpdir(), 'sallyport-state-'))
    const warnings: string[] = []
    try {
      const { config } = await load(around('to: http://127.0.0.1:1'))
      await act(storage => openStorage({ ...config, state, storage }, text => warnings.push(text)), state, warnings)
    } finally {
      rmSync(state, { recursive: true })
    }
  }

  it('files in the state folder, sealed with a key file', () =>
    withState(async (open, state) => {
      const plain = await open({ redis: null, seal: null })
      await plain.put('certificates/a', Buffer.from('before'))
      await plain.close()
      const keyFile = path.join(state, 'seal.key')
      writeFileSync(keyFile, Buffer.alloc(32, 9).toString('base64'))
      const storage = await open({ redis: null, seal: { secret: { keyFile }, previous: [] } })
      assert.equal((await storage.get('certificates/a'))?.toString(), 'before')
      await storage.put('certificates/a', Buffer.from('after'))
      assert.ok(!readFileSync(path.join(state, 'storage/certificates/a')).includes('after'))
      // Without the secret nothing is read as if it were a value.
      await assert.rejects(
        open({ redis: null, seal: null }),
        /values here are sealed; give the secret as storage\.seal/,
      )
      rmSync(path.join(state, 'storage/seal'), { recursive: true })
      const careless = await open({ redis: null, seal: null })
      await assert.rejects(careless.get('certificates/a'), isKind('refused'))
      await careless.close()
      await storage.close()
      await (await open({ redis: null, seal: { secret: { keyFile }, previous: [] } })).close()
      writeFileSync(keyFile, Buffer.alloc(32, 8).toString('hex'))
      await assert.rejects(open({ redis: null, seal: { secret: { keyFile }, previous: [] } }), UsageError)
      writeFileSync(keyFile, 'x')
      await assert.rejects(
        open({ redis: null, seal: { secret: { keyFile }, previous: [] } }),
        /not a key of 32 bytes/,
      )
      rmSync(keyFile)
      await assert.rejects(open({ redis: null, seal: { secret: { keyFile }, previous: [] } }), /cannot be read/)
    }))

  it('Redis that is away, with what was copied of it', () =>
    withState(async (open, state, warnings) => {
      const taken = net.createServer()
      await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve))
      const { port } = taken.address() as net.AddressInfo
      taken.close()
      const redis = {
        host: '127.0.0.1',
        port,
        database: 0,
        tls: false,
        username: null,
        password: 'hidden',
        prefix: 'p:x',
        caFile: null,
        certificate: null,
        leaseMs: 15_000,
      }
      const copy = path.join(state, 'storage-copy', `127.0.0.1-${port}-0-p_x/certificates`)
      mkdirSync(copy, { recursive: true })
      writeFileSync(path.join(copy, 'a'), 'from the copy')
      const storage = await open({ redis, seal: null })
      assert.equal((await storage.get('certificates/a'))?.toString(), 'from the copy')
      await assert.rejects(storage.get('accounts/a'), isKind('away'))
      assert.equal(warnings.length, 1)
      assert.match(warnings[0]!, /redis 127\.0\.0\.1:\d+.*trying again/)
      await storage.close()
      // With a passphrase the salt is in the copy or not known; then nothing can be read, and nothing fails either.
      const seal = { secret: { passphrase: 'correct horse' }, previous: [] }
      const late = await open({ redis, seal })
      await assert.rejects(late.get('certificates/a'), isKind('away'))
      await late.close()
      assert.deepEqual(readdirSync(state), ['storage-copy'])
    }))
})
