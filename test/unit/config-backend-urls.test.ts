/** `location` and `cookies`: what cannot be meant. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { around, problemsOf } from './config-folder.ts'

const wrong = async (option: string) => (await problemsOf(around(`to: http://b.test\n${option}`))).join('\n')

it('origins have a scheme, a host and no path', async () => {
  for (const origin of [
    'app.internal',
    'ftp://app',
    'http://',
    'http://a/b',
    'http://u@a',
    'http://a?b',
    'http://a b',
  ])
    assert.match(await wrong(`location: { origins: ["${origin}"] }`), /: an origin is a scheme, a host/, origin)
  assert.equal(await wrong('location: { origins: ["http://App.internal:3000/", "https://[::1]"] }'), '')
  assert.match(await wrong('location: {}'), /origins/)
})

it('attributes of cookies are ones that clients take', async () => {
  assert.match(await wrong('cookies: { sameSite: none, secure: false }'), /refuse SameSite=None without Secure/)
  assert.match(
    await wrong('cookies: [{ secure: true }, { sameSite: none, secure: false }]'),
    /:\d+:\d+: clients refuse/,
  )
  for (const path of ['x', '/a;b', '/a b', '""'])
    assert.match(await wrong(`cookies: { path: ${path} }`), /rewrite, or a path/, path)
  for (const domain of ['10.0.0.1', 'a.test:80', 'a/b', '"*.a.test"', '"[::1]"'])
    assert.match(await wrong(`cookies: { domain: ${domain} }`), /is not a domain/, domain)
  assert.match(await wrong('cookies: { names: ["a b"] }'), /cannot be the name of a cookie/)
  assert.equal(await wrong('cookies: { domain: .Example.com, path: /, names: SID }'), '')
})
