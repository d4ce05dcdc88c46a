/** `sallyport handshakes`: causes with counts, bounded, for programs and for people. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { handshakeGroups, handshakesText } from '../../src/control/commands/handshakes.ts'
import type { KeptHandshake } from '../../src/observe/handshake-log.ts'

const failed = (more: Partial<KeptHandshake> = {}): KeptHandshake => ({
  at: 1_800_000_000_000,
  error: 'TLS_HANDSHAKE',
  why: 'client and policy intermediate have no cipher in common',
  client: '192.0.2.1',
  sni: 'a.test',
  alert: 'handshake_failure',
  alertFrom: 'gateway',
  offered: {
    alpnOffered: ['h2', 'http/1.1'],
    ja4: 't13d1516h2_8daaf6152771_d8a2da3f94cd',
    groupsOffered: ['X25519MLKEM768', 'x25519', 'secp256r1'],
    signatureAlgorithms: ['ecdsa_secp256r1_sha256', 'rsa_pss_rsae_sha256'],
    versions: ['TLS 1.2', 'TLS 1.1'],
    ciphersOffered: Array.from({ length: 9 }, (_, i) => `TLS_ECDHE_RSA_WITH_AES_${i}_GCM_SHA256`),
  },
  ...more,
})

describe('groups', () => {
  it('have lists with counts, the most frequent first, that JSON can carry', () => {
    const list = [
      failed(),
      failed({ sni: null }),
      failed({ client: '192.0.2.2', sni: null }),
      failed({ why: 'other' }),
    ]
    const groups = JSON.parse(JSON.stringify(handshakeGroups(list))) as ReturnType<typeof handshakeGroups>
    assert.deepEqual(
      groups.map(each => each.count),
      [3, 1],
    )
    assert.deepEqual(groups[0]?.names, [
      { name: '(no name)', count: 2 },
      { name: 'a.test', count: 1 },
    ])
    assert.deepEqual(groups[0]?.clients, [
      { name: '192.0.2.1', count: 2 },
      { name: '192.0.2.2', count: 1 },
    ])
    assert.deepEqual([groups[0]?.alert, groups[0]?.alertFrom], ['handshake_failure', 'gateway'])
  })

  it('are bounded, and say how many there are', () => {
    const list = Array.from({ length: 500 }, (_, i) => failed({ client: `192.0.2.${i}`, sni: `n${i % 30}.test` }))
    const [group] = handshakeGroups(list)
    assert.equal(group?.clients.length, 20)
    assert.equal(group?.clientsInAll, 500)
    assert.equal(group?.namesInAll, 30)
    assert.equal(group?.names[0]?.count, 17)
  })
})

describe('the text', () => {
  it('is for people: names of things, lines that fit', () => {
    const text = handshakesText(handshakeGroups([failed(), failed({ client: '192.0.2.9' })]), 7)
    assert.equal(
      text,
      `    2  TLS_HANDSHAKE: client and policy intermediate have no cipher in common
       names         a.test
       clients       192.0.2.1 (1), 192.0.2.9 (1)
       last          2027-01-15T08:00:00.000Z
       alert         handshake_failure, sent by the gateway
       offered
         versions    TLS 1.2, TLS 1.1
         ciphers     TLS_ECDHE_RSA_WITH_AES_0_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_1_GCM_SHA256,
                     TLS_ECDHE_RSA_WITH_AES_2_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_3_GCM_SHA256,
                     TLS_ECDHE_RSA_WITH_AES_4_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_5_GCM_SHA256,
                     TLS_ECDHE_RSA_WITH_AES_6_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_7_GCM_SHA256,
                     and 1 more
         groups      X25519MLKEM768, x25519, secp256r1
         signatures  ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256
         protocols   h2, http/1.1
         JA4         t13d1516h2_8daaf6152771_d8a2da3f94cd

7 in all since the start
`,
    )
  })

  it('obeys no client: control characters do not reach the terminal', () => {
    const why = `the client offers only \u001b[2J\u202e${'x '.repeat(200)}`
    const offered = { ...failed().offered, alpnOffered: ['\u001b]0;owned\u0007'] } as KeptHandshake['offered']
    const text = handshakesText(handshakeGroups([failed({ why, offered, alert: null, alertFrom: null })]), 1)
    assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
    assert.ok(text.split('\n').every(line => line.length <= 100))
    assert.match(text, /alert +none$/m)
  })

  it('says so where nothing has failed, and what is not known where no hello was read', () => {
    assert.equal(handshakesText([], 0), 'no handshake has failed\n')
    assert.doesNotMatch(handshakesText(handshakeGroups([failed({ offered: {} })]), 1), /offered|undefined/)
  })
})
