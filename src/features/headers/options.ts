/** Rows for `headers`: fields that are set, added and removed, on the way to the origin and on the way back. */
import { type Formed, headerName } from '../../config/engine/forms.ts'
import { shape } from '../../config/engine/kinds.ts'
import { gatewayNames } from '../../wire/field-names.ts'
import { parseTemplate, type Template } from '../template.ts'

/** Lower case, and none that frames a message or belongs to one connection. */
function fieldName(text: string): Formed<string> {
  const formed = headerName(text)
  if ('ok' in formed && gatewayNames.has(formed.ok))
    return {
      wrong: `${text} frames the message, or belongs to one connection: the gateway writes it`,
      hint: 'remove it',
    }
  return formed
}

function removable(text: string): Formed<string> {
  const formed = fieldName(text)
  if ('ok' in formed && formed.ok === 'host')
    return {
      wrong: 'a request always has a Host',
      hint: 'set another one, or write host: endpoint at the upstream',
    }
  return formed
}

const value = (use: 'request field' | 'response field') =>
  function template(text: string): Formed<Template> {
    if (!/^[\t\x20-\x7e]*$/.test(text))
      return { wrong: 'a header value may contain only printable ASCII and no line breaks' }
    if (text !== text.trim()) return { wrong: 'a header value must not begin or end with a space' }
    return parseTemplate(text, use)
  }

const rowsFor = <const U extends 'request field' | 'response field'>(use: U, example: string) =>
  ({
    set: {
      kind: {
        type: 'map',
        key: fieldName,
        keyName: 'name',
        of: { type: 'string', form: value(use), write: 'template' },
      },
      docs: 'Fields to set, in place of any of the same name. If a value of the template is missing, the field is removed, even if the client or backend sent it.',
      example,
    },
    add: {
      kind: {
        type: 'map',
        key: fieldName,
        keyName: 'name',
        of: { type: 'string', form: value(use), write: 'template' },
      },
      docs: 'Fields to add, beside any of the same name. If a value of the template is missing, nothing is added.',
      example,
    },
    remove: {
      kind: { type: 'list', of: { type: 'string', form: removable, write: 'name' }, single: true },
      docs: 'Fields to remove, before others are set and added.',
      example: '[x-debug]',
    },
  }) as const

const requestShape = shape({
  name: 'headers of the request',
  docs: 'Fields of requests to backends. `Host` and the fields that identify the client are always replaced, never doubled.',
  rows: rowsFor('request field', '{ x-country: "{request.header.cf-ipcountry}" }'),
})

const responseShape = shape({
  name: 'headers of the response',
  docs: 'Fields of responses to clients, both from backends and from the gateway itself, errors included.',
  rows: rowsFor('response field', '{ x-served-by: "{upstream.endpoint}" }'),
})

export const headersShape = shape({
  name: 'headers',
  docs: "Fields to set, add or remove. Changes of a site and a route add up, the site's first. Values are [templates](templates.md).",
  rows: {
    request: {
      kind: { type: 'object', shape: requestShape },
      default: {},
      docs: 'Fields of requests to backends.',
      example: '{ set: { x-client: "{client.address}" }, remove: [x-debug] }',
    },
    response: {
      kind: { type: 'object', shape: responseShape },
      default: {},
      docs: 'Fields of responses to clients.',
      example: '{ remove: [server] }',
    },
  },
})
