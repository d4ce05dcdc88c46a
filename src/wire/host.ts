/** Hosts as they stand in Host and in request targets, and their canonical form: one for SNI, Host and configuration alike. */

/** Lower case, without a port and without the trailing dot; an IPv6 address keeps its brackets. */
export function canonicalHost(host: string): string {
  let end = host.length
  if (host.charCodeAt(0) === 91) end = host.indexOf(']') + 1
  else {
    const colon = host.indexOf(':')
    if (colon >= 0) end = colon
  }
  if (host.charCodeAt(end - 1) === 46) end--
  return (end === host.length ? host : host.slice(0, end)).toLowerCase()
}

/** `uri-host [ ":" port ]` without percent-encoding (RFC 9110 section 7.2); IPv6 in brackets. */
const hostForm = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*)|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/

export function isHost(text: string): boolean {
  return text.length <= 262 && hostForm.test(text)
}
