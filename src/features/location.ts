/**
 * Templates of a `Location`. They begin with a scheme or with one slash, and nothing that a client sends can become the host
 * of the URL: only a host that the configuration names stands there, or `{request.host}` where every host that gets so far is
 * one of the configuration's.
 */
import type { Formed } from '../config/engine/forms.ts'
import { parseTemplate, type Template } from './template.ts'

export type LocationTemplate = { readonly text: string; readonly template: Template; readonly usesHost: boolean }

/** The names that were there before templates had more of them. */
const shorthands: Readonly<Record<string, string>> = {
  '{host}': '{request.host}',
  '{path}': '{request.path}',
  '{query}': '{request.query}',
}

export function parseLocation(text: string): Formed<LocationTemplate> {
  // A path or a query begins with its own slash or question mark, and so ends the host.
  const begins = /^(?:https?:\/\/((?:(?!\{(?:request\.)?(?:path|query)\})[^/?#])+)|\/(?![/\\]))/.exec(text)
  if (!begins) {
    return { wrong: `${text}: a redirect leads to https://..., http://... or a path that begins with one /` }
  }
  if (/[^\x21-\x7e]/.test(text))
    return { wrong: `${text}: a redirect may contain only printable ASCII`, hint: 'percent-encode the rest' }
  const whole = text.replace(/\{(?:host|path|query)\}/g, name => shorthands[name] as string)
  // The port is not for a client to choose.
  const host = begins[1]?.replace(/\{(?:request\.)?host\}/, '').replace(/:\{request\.port\}$/, ':') ?? ''
  if (host.includes('{')) {
    return {
      wrong: `${text}: a value from the client must not become the host of a redirect`,
      hint: 'write the host, or {request.host}',
    }
  }
  const parsed = parseTemplate(whole, 'location')
  if (!('ok' in parsed)) return parsed
  const { ok: template } = parsed
  const usesHost = /\{(?:request\.)?host\}/.test(begins[1] ?? '')
  // A path that begins with two slashes is a host to a browser, and to some a backslash is a slash.
  const guarded: Template =
    begins[1] === undefined ? facts => template(facts)?.replace(/^[/\\]{2,}/, '/') ?? null : template
  return { ok: { text, template: guarded, usesHost } }
}
