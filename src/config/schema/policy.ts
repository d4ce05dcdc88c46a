/** Rows for TLS policies of one's own. */
import { groupIds, knownCiphers, tlsVersions } from '../../model/policies.ts'
import { policyName } from '../engine/forms.ts'
import { shape } from '../engine/kinds.ts'

export const policyShape = shape({
  name: 'policy',
  docs: 'A TLS policy of your own: a named one (`sallyport policies` lists them) with single fields changed.',
  rows: {
    extends: {
      kind: { type: 'string', form: policyName, write: 'policy' },
      required: true,
      docs: 'The policy that everything else is taken from.',
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
      docs: 'Ciphers of TLS 1.2 and older, OpenSSL names. Those of TLS 1.3 are not chosen.',
      example: '[ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-RSA-AES256-GCM-SHA384]',
    },
    groups: {
      kind: { type: 'list', of: { type: 'choice', of: Object.keys(groupIds) } },
      docs: 'Key exchange groups, most wanted first.',
      example: '[X25519MLKEM768, X25519]',
    },
    order: {
      kind: { type: 'choice', of: ['client', 'server'] },
      docs: 'Whose order of ciphers counts, in TLS 1.2 and older.',
      example: 'server',
    },
  },
})
