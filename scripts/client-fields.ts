// docs/client-fields.md, from the table in src/wire/client-fields.ts.
import { clientFields } from '../src/wire/client-fields.ts'

export function clientFieldsMarkdown(): string {
  const rows = clientFields.map(({ name, by, own }) => `| \`${name}\` | ${by} | ${own ? 'no' : 'yes'} |`)
  return `# Fields that are dropped from clients

A backend that was configured for another gateway may trust that gateway's fields. These fields are therefore dropped from
requests, on every listener and over both versions of HTTP. Responses of backends are not affected.

Fields that belong to one connection (RFC 9110 section 7.6.1) are dropped too, and so is every field whose name contains anything but letters,
digits and hyphens, because CGI-like backends read \`X_Real_IP\` as \`X-Real-IP\`.

[Trusted proxies](behind-a-proxy.md) say in some of these fields who the client is; even theirs are replaced by the gateway's own.

\`listen: { fields: { allow: [NAME] } }\` lets individual fields through on one listener, by their full names, which may contain \`_\` or \`.\`; it is decided
before a route is known. \`check\` refuses names that frame messages, belong to one connection or are written by the gateway itself,
and names that a backend could mistake for one of them, such as \`content_length\` or \`x.forwarded.for\`. A reload applies to new connections.

\`\`\`yaml
listen:
  - { port: 443, fields: { allow: [api_key, trace.id] } }
\`\`\`

| name | written by | can be let through |
|---|---|---|
${rows.join('\n')}
`
}
