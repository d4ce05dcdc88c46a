/** The Location of a redirect, from its template. */

/** `{host}` without a port, `{path}` in normal form, `{query}` with its `?` or empty. */
export function redirectLocation(template: string, host: string, path: string, query: string): string {
  if (!template.includes('{')) return template
  const name = host.replace(/:\d*$/, '')
  return template.replace(/\{(host|path|query)\}/g, (_, what) =>
    what === 'host' ? name : what === 'path' ? path : query,
  )
}
