/** The canonical form of a host: one for SNI, Host, passthrough and configuration alike. */

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
