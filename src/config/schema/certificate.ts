/** Rows for the certificate of a site. */
import type { KeyPairInput } from '../define-config.ts'
import type { Kind, Rows, Shape } from './kinds.ts'

export const keyPairShape: Shape = {
  name: 'certificate files',
  docs: 'A certificate and its key, in PEM.',
  rows: {
    chain: {
      kind: { type: 'file' },
      required: true,
      docs: 'The certificate, then the intermediates that lead to its CA.',
      example: 'shop.pem',
    },
    key: { kind: { type: 'file' }, required: true, docs: 'Its private key, not encrypted.', example: 'shop.key' },
  } satisfies Rows<KeyPairInput>,
}

export const certificateKind: Kind = {
  type: 'either',
  text: {
    type: 'choice',
    of: ['acme', 'local', 'vault'],
  },
  list: { type: 'list', of: { type: 'object', shape: keyPairShape } },
  map: { type: 'object', shape: keyPairShape },
}
