/** Rows for the webhook that is told about certificates. */
import { headerName, headerValue, webhookUrl } from '../engine/forms.ts'
import { shape } from '../engine/kinds.ts'

export const alertsShape = shape({
  name: 'alerts',
  docs:
    'One POST with JSON for each event: `certificate-expiring`, `certificate-expired`, `certificate-broken`, `renewal-failed`. An ' +
    'alert that is not answered with 2xx within `timeout` is tried again four times in some six minutes. ' +
    'docs/certificates.md has the fields.',
  rows: {
    url: {
      kind: { type: 'string', form: webhookUrl, write: 'URL' },
      required: true,
      docs: 'Where to. It may hold a secret: only its origin is ever logged.',
      example: 'https://hooks.example.com/tls',
    },
    days: {
      kind: { type: 'list', of: { type: 'integer', min: 1, max: 365 } },
      defaultDocs: '`[30, 14, 7, 3, 1]`',
      docs:
        'Days before the end of a certificate, each told once. Those beyond a third of its life do not count, and one that lives ' +
        'less than 30 days has a single threshold: a sixth of its life. The end itself is always told.',
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
      docs: 'How long the receiver may take to answer.',
      example: '30s',
    },
    ca: {
      kind: { type: 'file' },
      docs: 'The CA of the receiver, PEM. The CAs that the runtime trusts, when left out.',
      example: 'internal-ca.pem',
    },
  },
})
