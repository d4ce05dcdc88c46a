/**
 * Named TLS policies, as data. Source: Mozilla Server Side TLS 6.0 (2026-04-06). The client chooses among ciphers,
 * all of which are good; the server's order of groups puts the post-quantum hybrid first.
 */

export type Policy = {
  readonly name: string
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** OpenSSL names, for TLS 1.2 and 1.3 */
  readonly ciphers: readonly string[]
  /** TLS names, most wanted first, with their numbers in the registry */
  readonly groups: readonly (readonly [name: string, id: number])[]
}

const tls13 = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']

const groups = [
  ['X25519MLKEM768', 0x11ec],
  ['X25519', 0x001d],
  ['P-256', 0x0017],
  ['P-384', 0x0018],
] as const

const modern: Policy = { name: 'modern', minVersion: 'TLSv1.3', ciphers: tls13, groups }

const intermediate: Policy = {
  name: 'intermediate',
  minVersion: 'TLSv1.2',
  ciphers: [
    ...tls13,
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ],
  groups,
}

export const policies: Readonly<Record<'modern' | 'intermediate', Policy>> = { modern, intermediate }
