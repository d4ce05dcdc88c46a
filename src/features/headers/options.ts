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
    if (!/^[\t\x20-\x7e]*$/.test(text)) return { wrong: 'a header value holds printable ASCII and no line breaks' }
    if (text !== text.trim()) return { wrong: 'a header value has no space at its ends' }
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
      docs: 'Fields that take the place of any of the same name. Where a value of the template is not there, the field is removed, one of the client or backend included.',
      example,
    },
    add: {
      kind: {
        type: 'map',
        key: fieldName,
        keyName: 'name',
        of: { type: 'string', form: value(use), write: 'template' },
      },
      docs: 'Fields beside those of the same name. Nothing is added where a value of the template is not there.',
      example,
    },
    remove: {
      kind: { type: 'list', of: { type: 'string', form: removable, write: 'name' }, single: true },
      docs: 'Fields that are removed, before others are set and added.',
      example: '[x-debug]',
    },
  }) as const

const requestShape = shape({
  name: 'headers of the request',
  docs: 'What the backend gets. Host, and the fields that say who the client is, are replaced and never doubled.',
  rows: rowsFor('request field', '{ x-country: "{request.header.cf-ipcountry}" }'),
})

const responseShape = shape({
  name: 'headers of the response',
  docs: "What the client gets, of backends' answers and of the gateway's own, errors included.",
  rows: rowsFor('response field', '{ x-served-by: "{upstream.endpoint}" }'),
})

export const headersShape = shape({
  name: 'headers',
  docs: "Fields to set, add or remove. Changes of a site and a route add up, the site's first. Values are [templates](templates.md).",
  rows: {
    request: {
      kind: { type: 'object', shape: requestShape },
      default: {},
      docs: 'Toward the backend.',
      example: '{ set: { x-client: "{client.address}" }, remove: [x-debug] }',
    },
    response: {
      kind: { type: 'object', shape: responseShape },
      default: {},
      docs: 'Toward the client.',
      example: '{ remove: [server] }',
    },
  },
})
