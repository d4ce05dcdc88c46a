/**
 * TLS cipher suites by number, with their names in IANA's registry ("TLS Cipher Suites") and what they are worth. The
 * registry was filled key exchange by key exchange, so that a row here is a run of numbers. 0x0060 to 0x0066 never
 * left their draft, and were used nevertheless.
 */
const names = new Map<number, string>()

/** Numbers from `first` on: for each key exchange all of the ciphers, in this order. */
function add(first: number, exchanges: string, ciphers: string): void {
  let id = first
  for (const exchange of exchanges.split(' '))
    for (const cipher of ciphers.split(' ')) names.set(id++, `TLS_${exchange}_WITH_${cipher}`)
}

const dh = 'RSA DH_DSS DH_RSA DHE_DSS DHE_RSA DH_anon'
const gcm = 'RSA DHE_RSA DH_RSA DHE_DSS DH_DSS DH_anon'
const psk = 'PSK DHE_PSK RSA_PSK'
const ec = 'ECDHE_ECDSA ECDH_ECDSA ECDHE_RSA ECDH_RSA'

names.set(0x0000, 'TLS_NULL_WITH_NULL_NULL')
add(0x0001, 'RSA', 'NULL_MD5 NULL_SHA')
add(0x0003, 'RSA_EXPORT', 'RC4_40_MD5')
add(0x0004, 'RSA', 'RC4_128_MD5 RC4_128_SHA')
add(0x0006, 'RSA_EXPORT', 'RC2_CBC_40_MD5')
add(0x0007, 'RSA', 'IDEA_CBC_SHA')
for (const [at, exchange] of dh.split(' ').slice(0, 5).entries()) {
  add(0x0008 + 3 * at, `${exchange}_EXPORT`, 'DES40_CBC_SHA')
  add(0x0009 + 3 * at, exchange, 'DES_CBC_SHA 3DES_EDE_CBC_SHA')
}
add(0x0017, 'DH_anon_EXPORT', 'RC4_40_MD5')
add(0x0018, 'DH_anon', 'RC4_128_MD5')
add(0x0019, 'DH_anon_EXPORT', 'DES40_CBC_SHA')
add(0x001a, 'DH_anon', 'DES_CBC_SHA 3DES_EDE_CBC_SHA')
for (const [at, hash] of ['SHA', 'MD5'].entries()) {
  add(0x001e + 4 * at, 'KRB5', `DES_CBC_${hash} 3DES_EDE_CBC_${hash} RC4_128_${hash} IDEA_CBC_${hash}`)
  add(0x0026 + 3 * at, 'KRB5_EXPORT', `DES_CBC_40_${hash} RC2_CBC_40_${hash} RC4_40_${hash}`)
}
add(0x002c, psk, 'NULL_SHA')
add(0x002f, dh, 'AES_128_CBC_SHA')
add(0x0035, dh, 'AES_256_CBC_SHA')
add(0x003b, 'RSA', 'NULL_SHA256 AES_128_CBC_SHA256 AES_256_CBC_SHA256')
add(0x003e, 'DH_DSS DH_RSA DHE_DSS', 'AES_128_CBC_SHA256')
add(0x0041, dh, 'CAMELLIA_128_CBC_SHA')
add(0x0060, 'RSA_EXPORT1024', 'RC4_56_MD5 RC2_CBC_56_MD5 DES_CBC_SHA')
add(0x0063, 'DHE_DSS_EXPORT1024', 'DES_CBC_SHA')
add(0x0064, 'RSA_EXPORT1024 DHE_DSS_EXPORT1024', 'RC4_56_SHA')
add(0x0066, 'DHE_DSS', 'RC4_128_SHA')
add(0x0067, 'DHE_RSA', 'AES_128_CBC_SHA256')
add(0x0068, 'DH_DSS DH_RSA DHE_DSS DHE_RSA', 'AES_256_CBC_SHA256')
add(0x006c, 'DH_anon', 'AES_128_CBC_SHA256 AES_256_CBC_SHA256')
add(0x0084, dh, 'CAMELLIA_256_CBC_SHA')
add(0x008a, psk, 'RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA')
add(0x0096, dh, 'SEED_CBC_SHA')
add(0x009c, `${gcm} ${psk}`, 'AES_128_GCM_SHA256 AES_256_GCM_SHA384')
add(0x00ae, psk, 'AES_128_CBC_SHA256 AES_256_CBC_SHA384 NULL_SHA256 NULL_SHA384')
add(0x00ba, dh, 'CAMELLIA_128_CBC_SHA256')
add(0x00c0, dh, 'CAMELLIA_256_CBC_SHA256')
for (const [at, suite] of 'SM4_GCM_SM3 SM4_CCM_SM3'.split(' ').entries()) names.set(0x00c6 + at, `TLS_${suite}`)
names.set(0x00ff, 'TLS_EMPTY_RENEGOTIATION_INFO_SCSV')
const suites13 =
  'AES_128_GCM_SHA256 AES_256_GCM_SHA384 CHACHA20_POLY1305_SHA256 AES_128_CCM_SHA256 AES_128_CCM_8_SHA256'
for (const [at, suite] of suites13.split(' ').entries()) names.set(0x1301 + at, `TLS_${suite}`)
names.set(0x5600, 'TLS_FALLBACK_SCSV')
const cbc = 'NULL_SHA RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA'
add(0xc001, 'ECDH_ECDSA ECDHE_ECDSA ECDH_RSA ECDHE_RSA ECDH_anon', cbc)
for (const [at, cipher] of ['3DES_EDE_CBC_SHA', 'AES_128_CBC_SHA', 'AES_256_CBC_SHA'].entries())
  add(0xc01a + 3 * at, 'SRP_SHA SRP_SHA_RSA SRP_SHA_DSS', cipher)
add(0xc023, ec, 'AES_128_CBC_SHA256 AES_256_CBC_SHA384')
add(0xc02b, ec, 'AES_128_GCM_SHA256 AES_256_GCM_SHA384')
add(
  0xc033,
  'ECDHE_PSK',
  'RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA AES_128_CBC_SHA256 AES_256_CBC_SHA384 NULL_SHA NULL_SHA256 NULL_SHA384',
)
const [ariaCbc, ariaGcm] = ['CBC', 'GCM'].map(mode => `ARIA_128_${mode}_SHA256 ARIA_256_${mode}_SHA384`) as [
  string,
  string,
]
add(0xc03c, `${dh} ${ec}`, ariaCbc)
add(0xc050, `${gcm} ${ec}`, ariaGcm)
add(0xc064, psk, ariaCbc)
add(0xc06a, psk, ariaGcm)
add(0xc070, 'ECDHE_PSK', ariaCbc)
const [camelliaCbc, camelliaGcm] = ['CBC', 'GCM'].map(
  mode => `CAMELLIA_128_${mode}_SHA256 CAMELLIA_256_${mode}_SHA384`,
) as [string, string]
add(0xc072, ec, camelliaCbc)
add(0xc07a, `${gcm} ${ec} ${psk}`, camelliaGcm)
add(0xc094, `${psk} ECDHE_PSK`, camelliaCbc)
add(0xc09c, 'RSA DHE_RSA', 'AES_128_CCM AES_256_CCM')
add(0xc0a0, 'RSA DHE_RSA', 'AES_128_CCM_8 AES_256_CCM_8')
add(0xc0a4, 'PSK DHE_PSK', 'AES_128_CCM AES_256_CCM')
add(0xc0a8, 'PSK PSK_DHE', 'AES_128_CCM_8 AES_256_CCM_8')
add(0xc0ac, 'ECDHE_ECDSA', 'AES_128_CCM AES_256_CCM AES_128_CCM_8 AES_256_CCM_8')
add(0xcca8, 'ECDHE_RSA ECDHE_ECDSA DHE_RSA PSK ECDHE_PSK DHE_PSK RSA_PSK', 'CHACHA20_POLY1305_SHA256')
add(0xd001, 'ECDHE_PSK', 'AES_128_GCM_SHA256 AES_256_GCM_SHA384 AES_128_CCM_8_SHA256')
add(0xd005, 'ECDHE_PSK', 'AES_128_CCM_SHA256')

export const cipherNames: ReadonlyMap<number, string> = names

/** F: whoever listens or stands between can read or forge. C: weakened. B: outdated. A: authenticated encryption, forward secret. */
export type CipherGrade = { readonly grade: 'A' | 'B' | 'C' | 'F'; readonly why: string }

const rules: readonly [RegExp, CipherGrade][] = [
  [/_WITH_NULL_/, { grade: 'F', why: 'does not encrypt' }],
  [/_anon_/, { grade: 'F', why: 'does not authenticate the server' }],
  [/_EXPORT|_40_|DES40|_56_/, { grade: 'F', why: 'an export cipher, with a key that can be searched' }],
  [/_DES_CBC_/, { grade: 'F', why: 'a 56-bit key, which can be searched' }],
  [/_RC4_|_RC2_/, { grade: 'F', why: 'a broken cipher (RFC 7465)' }],
  [/_MD5$/, { grade: 'F', why: 'a broken hash' }],
  [/_3DES_|_IDEA_/, { grade: 'C', why: 'a 64-bit block (Sweet32)' }],
  [/_WITH_.*_CBC_|_WITH_.*_SEED_/, { grade: 'B', why: 'CBC, which is not authenticated encryption' }],
  [/^TLS_(RSA|DH_|ECDH_|PSK_WITH|RSA_PSK|KRB5)/, { grade: 'B', why: 'no forward secrecy' }],
]

/** @param name in IANA's registry */
export function cipherGrade(name: string): CipherGrade {
  if (!name.startsWith('TLS_')) return { grade: 'F', why: 'not in the registry' }
  return rules.find(([form]) => form.test(name))?.[1] ?? { grade: 'A', why: '' }
}

/** The key exchange uses a group of the list that the client offers. */
export const usesGroup = (name: string): boolean => /^TLS_ECDHE_|^TLS_ECDH_anon_/.test(name)
