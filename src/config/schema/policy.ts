/** Rows for TLS policies of one's own. */
import { groupIds, knownCiphers, tlsVersions } from '../../model/policies.ts'
import { policyName } from '../engine/forms.ts'
import { shape } from '../engine/kinds.ts'

export const policyShape = shape({
  name: 'policy',
  docs: 'Your own TLS policy: a named one (`sallyport policies` lists them) with individual fields changed.',
  rows: {
    extends: {
      kind: { type: 'string', form: policyName, write: 'policy' },
      required: true,
      docs: 'The policy that all other fields are taken from.',
      example: 'intermediate',
    },
    minVersion: {
      kind: { type: 'choice', of: tlsVersions },
      docs: 'The lowest version.',
      example: 'TLSv1.3',
    },
    maxVersion: {
      kind: { type: 'choice', of: tlsVersions },
      docs: 'The highest version.',
      example: 'TLSv1.3',
    },
    ciphers: {
      kind: { type: 'list', of: { type: 'choice', of: knownCiphers } },
      docs: 'Ciphers for TLS 1.2 and older, by their OpenSSL names. The ciphers of TLS 1.3 cannot be chosen.',
      example: '[ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-RSA-AES256-GCM-SHA384]',
    },
    groups: {
      kind: { type: 'list', of: { type: 'choice', of: Object.keys(groupIds) } },
      docs: 'Key exchange groups, in order of preference.',
      example: '[X25519MLKEM768, X25519]',
    },
    order: {
      kind: { type: 'choice', of: ['client', 'server'] },
      docs: 'Whose cipher preference wins, in TLS 1.2 and older.',
      example: 'server',
    },
  },
})
