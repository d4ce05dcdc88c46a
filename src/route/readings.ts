/**
 * Paths of a site whose routes have options of `path`. A path is read in a form before its route is known, and the form is an option
 * of the route: so the strict reading decides the route, the route decides the form, and that form has to lead to the same route, in
 * every way in which a backend could read it. What does not is refused. Whatever the backend makes of the path, the route that
 * the request has been through is the one for it.
 *
 * Encoded slashes are the exception: they are characters here, and a backend may well take them for slashes. They are allowed only
 * where no route of the site asks more of clients than another (config/validate-paths.ts).
 */
import { ProxyError } from '../base/errors.ts'
import type { Route, RoutedPath } from '../model/route.ts'
import { isPlainPath, type PathForm, pathForm, strictForm } from '../wire/path-form.ts'

/**
 * @param raw begins with '/' @param stripsParameters some route of the site drops path parameters @param find its route for a path
 * @returns the path that is forwarded, and its route
 */
export function readPath(
  raw: string,
  stripsParameters: boolean,
  find: (path: string) => Route | null,
): RoutedPath | ProxyError {
  if (isPlainPath(raw)) return { path: raw, route: find(raw) }
  const strict = pathForm(raw, { ...strictForm, encodedSlash: true, stripParameters: stripsParameters })
  if (strict instanceof ProxyError) return strict
  const route = find(strict)
  const form = route?.path ?? strictForm
  const path = pathForm(raw, form)
  if (path instanceof ProxyError) return path
  // Decoded, the slash would make a dot segment of its own.
  if (form.encodedSlash && /%2f/i.test(raw) && dotSegment.test(raw))
    return new ProxyError('BAD_PATH', 'a dot segment in a path with an encoded slash')
  if (path === strict) return { path, route }
  for (const other of readings(path, form, stripsParameters))
    if (find(other) !== route)
      return new ProxyError('BAD_PATH', `the path could be read as ${other} too, which is for another route`)
  return { path, route }
}

const dotSegment = /(?:\/|%2f)(?:\.|%2e){1,2}(?:$|\/|%2f|;)/i

/**
 * All ways in which a backend could read a path: it does any of these things to it, in any order. There are few, since each thing is
 * done once at most to any effect.
 */
function readings(path: string, { encodedSlash }: PathForm, stripsParameters: boolean): ReadonlySet<string> {
  const asItIs = { encodedSlash, merge: false, decode: false, dots: false, stripParameters: false }
  const steps: PathForm[] = [
    { ...asItIs, merge: true },
    { ...asItIs, decode: true },
    { ...asItIs, dots: true },
    ...(stripsParameters ? [{ ...asItIs, stripParameters: true }] : []),
  ]
  const found = new Set([path])
  // A set is walked in the order in which it grows.
  for (const each of found) {
    for (const step of steps) {
      const next = pathForm(each, step)
      // What a backend refuses is no way to anything.
      if (typeof next === 'string') found.add(next)
    }
  }
  return found
}
