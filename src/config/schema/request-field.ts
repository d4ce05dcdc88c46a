/**
 * Names of request fields that the configuration reads, as a condition or as a key. Some are not among the fields of a request by then:
 * the gateway has read them, or dropped what a client says of itself. To name one of those would be without effect, silently.
 */
import { ownClientFields } from '../../wire/client-fields.ts'
import { gatewayNames } from '../../wire/field-names.ts'
import { type Formed, headerName } from '../engine/forms.ts'

/** @param insteadOfAddress what to write for the address of the client */
export const requestField =
  (insteadOfAddress: string) =>
  (text: string): Formed<string> => {
    const name = headerName(text)
    if (!('ok' in name)) return name
    if (gatewayNames.has(name.ok))
      return { wrong: `${name.ok} frames the message, or belongs to one connection`, hint: 'name another field' }
    if (ownClientFields.has(name.ok))
      return {
        wrong: `${name.ok} is written by the gateway, and what clients send of it is dropped`,
        hint: insteadOfAddress,
      }
    return name
  }
