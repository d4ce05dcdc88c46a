/** Names and grades of cipher suites, against those that OpenSSL knows. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { it } from 'node:test'
import { cipherGrade, cipherNames, usesGroup } from '../../src/wire/cipher-names.ts'
import { cipherName } from '../../src/wire/tls-names.ts'

it('every cipher suite of OpenSSL has its name in IANA’s registry', () => {
  const lines = execFileSync('openssl', ['ciphers', '-V', '-stdname', 'ALL:COMPLEMENTOFALL:@SECLEVEL=0'], {
    encoding: 'utf8',
  })
  const found = [...lines.matchAll(/0x(\w\w),0x(\w\w) - (TLS_\w+)/g)]
  assert.ok(found.length > 100)
  for (const [, high, low, name] of found) assert.equal(cipherName(Number.parseInt(`${high}${low}`, 16)), name)
})

it('no name stands for two numbers', () => {
  assert.equal(new Set(cipherNames.values()).size, cipherNames.size)
})

it('grades by what a cipher suite lacks', () => {
  const grades = (names: string) =>
    names
      .split(' ')
      .map(name => cipherGrade(name).grade)
      .join('')
  assert.equal(
    grades('TLS_RSA_WITH_NULL_SHA TLS_DH_anon_WITH_AES_256_GCM_SHA384 TLS_ECDH_anon_WITH_NULL_SHA'),
    'FFF',
  )
  assert.equal(
    grades('TLS_RSA_EXPORT_WITH_RC4_40_MD5 TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA TLS_RSA_WITH_DES_CBC_SHA'),
    'FFF',
  )
  assert.equal(
    grades('TLS_KRB5_EXPORT_WITH_DES_CBC_40_SHA TLS_RSA_EXPORT1024_WITH_RC4_56_SHA TLS_RSA_WITH_RC4_128_SHA'),
    'FFF',
  )
  assert.equal(grades('TLS_RSA_WITH_3DES_EDE_CBC_SHA TLS_RSA_WITH_IDEA_CBC_SHA 0x1234'), 'CCF')
  assert.equal(
    grades('TLS_RSA_WITH_AES_128_GCM_SHA256 TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA TLS_DH_RSA_WITH_AES_128_GCM_SHA256'),
    'BBB',
  )
  assert.equal(
    grades('TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 TLS_DHE_RSA_WITH_AES_128_CCM TLS_AES_128_GCM_SHA256'),
    'AAA',
  )
  for (const name of cipherNames.values())
    if (/NULL|anon|EXPORT/.test(name)) assert.equal(cipherGrade(name).grade, 'F', name)
})

it('knows which key exchanges use a group that the client names', () => {
  assert.ok(usesGroup('TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256') && usesGroup('TLS_ECDH_anon_WITH_NULL_SHA'))
  assert.ok(!usesGroup('TLS_RSA_WITH_AES_128_GCM_SHA256') && !usesGroup('TLS_ECDH_RSA_WITH_AES_128_CBC_SHA'))
})
