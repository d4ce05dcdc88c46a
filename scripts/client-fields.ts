// docs/client-fields.md, from the table in src/wire/client-fields.ts.
import { clientFields } from '../src/wire/client-fields.ts'

export function clientFieldsMarkdown(): string {
  const rows = clientFields.map(({ name, by, own }) => `| \`${name}\` | ${by} | ${own ? 'no' : 'yes'} |`)
  return `# Fields that are dropped from clients

A backend that was configured for another gateway may believe what stands in that gateway's fields. So these are dropped from what
clients send, on every listener and over both versions of HTTP. Answers of backends may carry what they like.

Beside them go the fields that belong to one connection (RFC 9110 section 7.6.1), and every field whose name has anything but letters,
digits and hyphens: CGI-like backends read \`X_Real_IP\` as \`X-Real-IP\`.

\`listen: { fields: { allow: [NAME] } }\` lets single names through on one listener, in full and also with \`_\` or \`.\`: this is decided
before there is a route. Names that frame messages, belong to one connection or are written by the gateway itself are refused by
\`check\`, and so are those that a backend could take for one of them. A reload changes it for new connections.

| name | written by | can be let through |
|---|---|---|
${rows.join('\n')}
`
}
