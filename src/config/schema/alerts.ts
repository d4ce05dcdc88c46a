/** Rows for the webhook that is told about certificates. */
import { headerName, headerValue, webhookUrl } from '../engine/forms.ts'
import { shape } from '../engine/kinds.ts'

export const alertsShape = shape({
  name: 'alerts',
  docs:
    'One POST with JSON per event: `certificate-expiring`, `certificate-expired`, `certificate-broken`, `renewal-failed`. An alert ' +
    'that gets no 2xx response within `timeout` is retried four times over about six minutes. docs/certificates.md lists the ' +
    'fields.',
  rows: {
    url: {
      kind: { type: 'string', form: webhookUrl, write: 'URL' },
      required: true,
      docs: 'Where alerts are sent. The URL may contain a secret: only its origin is ever logged.',
      example: 'https://hooks.example.com/tls',
    },
    days: {
      kind: { type: 'list', of: { type: 'integer', min: 1, max: 365 } },
      defaultDocs: '`[30, 14, 7, 3, 1]`',
      docs:
        'Days before a certificate expires; each is reported once. Days beyond a third of its lifetime are ignored, and a certificate ' +
        'that lives less than 30 days has a single threshold: a sixth of its lifetime. The expiry itself is always reported.',
      example: '[14, 3]',
    },
    headers: {
      kind: {
        type: 'map',
        key: headerName,
        keyName: 'header',
        of: { type: 'string', form: headerValue, write: 'value' },
      },
      docs: 'Sent with each alert.',
      example: '{ X-Team: edge }',
    },
    token: {
      kind: { type: 'string', form: headerValue, write: 'token' },
      // biome-ignore lint/suspicious/noTemplateCurlyInString: as it is written in a file
      docs: 'Sent as `Authorization: Bearer`. Take it from the environment, as in `token: ${NAME}`.',
      example: 'k7b2f0c9',
    },
    timeout: {
      kind: { type: 'duration', maxMs: 300_000 },
      default: '10s',
      docs: 'How long the receiver may take to respond.',
      example: '30s',
    },
    ca: {
      kind: { type: 'file' },
      docs: 'PEM file with the CA of the receiver. By default the CAs that the runtime trusts.',
      example: 'internal-ca.pem',
    },
  },
})
