/** Weak certificates on the ways from a leaf to the CAs that are trusted: which ways count, and what is said of the others. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { describe, it } from 'node:test'
import tls from 'node:tls'
import { pathsTo } from '../../src/certs/x509/client-path.ts'
import { weakKey, weakSignature } from '../../src/certs/x509/weakness.ts'
import { lazyRuntimeRoots } from '../../src/gateway/certificates/runtime-paths.ts'
import { type Crafted, craft, ec, rsa } from '../harness/weak-certificates.ts'

const of = ({ pem }: Crafted) => new X509Certificate(pem)
const judge = (leaf: Crafted, sent: readonly Crafted[], cas: readonly Crafted[]) =>
  pathsTo(cas.map(of))(of(leaf), sent.map(of))

const root = craft('Root', { isCa: true })
const newRoot = craft('New root', { isCa: true })
const stranger = craft('Stranger', { isCa: true })
const key = ec()
/** One CA, certified by two others. */
const weakMiddle = craft('Middle', { isCa: true, issuer: root, key, hash: 'sha1' })
const strongMiddle = craft('Middle', { isCa: true, issuer: newRoot, key })
const leaf = craft('leaf', { issuer: weakMiddle })

describe('the ways to trusted CAs', () => {
  it('one strong way is enough, whatever else was sent', () => {
    assert.equal(judge(leaf, [weakMiddle, strongMiddle], [root, newRoot]).weakness, null)
    assert.equal(judge(leaf, [strongMiddle, weakMiddle], [root, newRoot]).weakness, null)
  })

  it('a weak one alone is not, and is named', () => {
    const { weakness, anchored } = judge(leaf, [weakMiddle], [root, newRoot])
    assert.equal(weakness, 'the CA above it (CN=Middle) is signed with SHA-1')
    assert.equal(anchored, true)
  })

  it('a strong way that ends at a stranger does not make up for a weak one', () => {
    const elsewhere = craft('Middle', { isCa: true, issuer: stranger, key })
    assert.match(String(judge(leaf, [elsewhere, weakMiddle], [root]).weakness), /SHA-1/)
    assert.match(String(judge(leaf, [elsewhere, stranger, weakMiddle], [root]).weakness), /SHA-1/)
  })

  it('a certificate that is no CA does not stand for a weak one of the same name and key', () => {
    const service = craft('Middle', { issuer: root, key })
    assert.match(String(judge(leaf, [service, weakMiddle], [root]).weakness), /SHA-1/)
  })

  it('a trusted CA counts by its key, and not by its own signature', () => {
    assert.equal(judge(leaf, [], [weakMiddle]).weakness, null)
    const own = craft('Own', { isCa: true, hash: 'sha1' })
    assert.equal(judge(craft('leaf', { issuer: own }), [], [own]).weakness, null)
    const short = craft('Short', { isCa: true, key: rsa(1024) })
    assert.match(
      String(judge(craft('leaf', { issuer: short }), [], [short]).weakness),
      /CN=Short\) has an RSA key of 1024/,
    )
  })

  it('where no trusted CA was reached, what is known must be strong', () => {
    const alone = judge(leaf, [], [root])
    assert.deepEqual([alone.weakness, alone.anchored], [null, false])
    assert.match(
      String(judge(craft('leaf', { issuer: strongMiddle, hash: 'sha1' }), [], [root]).weakness),
      /^it is signed/,
    )
    assert.match(String(judge(leaf, [weakMiddle], [newRoot]).weakness), /SHA-1/)
  })
})

describe('the CAs of the runtime', () => {
  it('are found by name, and count by their keys', () => {
    const find = lazyRuntimeRoots()()
    const trusted = new X509Certificate(tls.rootCertificates[0] as string)
    assert.deepEqual([find(trusted, []).anchored, find(trusted, []).weakness], [true, null])
    assert.equal(find(of(leaf), [of(strongMiddle)]).anchored, false)
  })
})

describe('keys and signatures', () => {
  it('are told by their kind', () => {
    assert.equal(weakKey(of(craft('a'))), null)
    assert.equal(weakKey(of(craft('a', { key: ec('P-521') }))), null)
    assert.equal(weakKey(of(craft('a', { key: rsa(2048) }))), null)
    assert.equal(weakKey(of(craft('a', { key: rsa(1536) }))), 'has an RSA key of 1536 bits')
    assert.equal(weakSignature(of(craft('a'))), null)
    assert.equal(weakSignature(of(craft('a', { hash: 'sha1' }))), 'is signed with SHA-1')
    assert.equal(weakSignature(of(craft('a', { hash: 'sha1', key: rsa(2048) }))), 'is signed with SHA-1')
    assert.equal(weakSignature(of(craft('a', { hash: 'md5', key: rsa(2048) }))), 'is signed with MD5')
  })

  it('of kinds that only openssl makes', () => {
    assert.equal(
      weakSignature(new X509Certificate(Buffer.from(pssWithSha1, 'base64'))),
      'is signed with RSA-PSS and SHA-1',
    )
    // BoringSSL does not read such a key at all.
    assert.match(
      String(weakKey(new X509Certificate(Buffer.from(p192, 'base64')))),
      /curve of about 192 bits|cannot be read/,
    )
  })
})

/** openssl req -x509 -newkey rsa:2048 -sha1 -sigopt rsa_padding_mode:pss */
const pssWithSha1 =
  'MIIDBzCCAemgAwIBAgIUCuVwV5Ho06NdavuSDFAJ6bh02cEwEwYJKoZIhvcNAQEKMAaiBAICAOowDDEKMAgGA1UEAwwBYTAgFw0y' +
  'NjExMjgwNTEwNDNaGA8yMTI2MTEwNDA1MTA0M1owDDEKMAgGA1UEAwwBYTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEB' +
  'AM3Df7mWb3cEiyW9c33SAPRGz9E/UQ3/gHeefBXJ6x/wjIGdXgqjl8pXI1+z0mWjVmJuujEJ+jpG/52HjEk70mAiJzv9l6A4rcyS' +
  'pmWh80pL2rwbcbV1YUnIdkGZWD5Tr6GrDecT1zQinUjKEfWsDXzwPUNhvknBWH7rGwZmEEZolE6MYiv62jPFE6ivJx48vBjOLPV8' +
  'D4vuVaD8PvglVJukcl3/XrZh9JRfPB2EcYLwxGG7EL6VrPJ+iKPdGFCdJKz0QhR3vcdcWhoaeo4ICWD0S5tVt9a84Na8NFnywMdj' +
  'xQmVQLKN5b8djzJDiRGvXgbFT/X5Y8LXS8UnA1uwfM8CAwEAAaNTMFEwHQYDVR0OBBYEFBlZ2jS27QE/a0nj70mCpgCgZlckMB8G' +
  'A1UdIwQYMBaAFBlZ2jS27QE/a0nj70mCpgCgZlckMA8GA1UdEwEB/wQFMAMBAf8wEwYJKoZIhvcNAQEKMAaiBAICAOoDggEBAF3k' +
  'SHMHeNOVpT8mnwY2XWNjMrDb1srwrgjyYyBw+RdiRzvBPg+vXM1KWsaC+tXVCabTl4ieyKgy241yywJXMyjKr8GUA9tJ8g1V6Ysh' +
  'njrVTjXiZtjZ1AMrceLR+eNoUoG5qv3bmbFIYxHfwSZB2oQ+1OAXS/LloLw0Ki3UwNMqB8dhSmX1iwCym8IeAB6niG1PsbqsE93/' +
  'UPDhcblckLGGvYTqJukHDCzZExLfbav1fLhz6BO6rDFNIFhVIcErFifCuoAMThPyMvxPSY+9orlVKuEeCG508JdXyn3WV0C/1ME1' +
  'i+8ay8ZP78xW1CsHUaUH2M1SZ09V5r1RN9w2ah4='
/** openssl ecparam -name prime192v1 -genkey | openssl req -x509 */
const p192 =
  'MIIBTzCCAQWgAwIBAgIUTkPQ2rT2ni+BZCCymc+vh2+Uu0gwCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBYTAgFw0yNjExMjgwNTEw' +
  'NDZaGA8yMTI2MTEwNDA1MTA0NlowDDEKMAgGA1UEAwwBYTBJMBMGByqGSM49AgEGCCqGSM49AwEBAzIABJpox5e61gSA69O7l1pG' +
  'PoOamy8yuSg03HqZ/8TRSBdXkY0u7rEzKQSyT0O99wuH2KNTMFEwHQYDVR0OBBYEFGTwm/nm1ohRY6mmQxl8SRnBVYROMB8GA1Ud' +
  'IwQYMBaAFGTwm/nm1ohRY6mmQxl8SRnBVYROMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDOAAwNQIYGMdQErarn6UUq+ny' +
  'sVqS8MgrRxLU8xxTAhkA9nQEel1wCE2YihyPaHrKAH5TbAHb/KQ4'
