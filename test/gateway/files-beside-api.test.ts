/** The six lines of the README: a single-page application beside its API, as they stand there. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, it } from 'node:test'
import { parse } from 'yaml'
import { ask } from '../harness/ask.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { writeTree } from '../harness/file-tree.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { ok, type RecordingBackend, recordingBackend } from '../harness/raw.ts'

const root = temporaryFolder('sallyport-app-')
let gateway: Started
let backend: RecordingBackend

before(async () => {
  writeTree(root, { 'index.html': '<app>', 'assets/a.js': 'plain', 'assets/a.js.br': 'small' })
  backend = await recordingBackend(
    (client, text) => void (text.endsWith('\r\n\r\n') && client.send(ok('of the API'))),
  )
  const readme = readFileSync(path.resolve(import.meta.dirname, '../../README.md'), 'utf8')
  const written = /```yaml\n(sites:\n(?:(?!```)[\s\S])*files: [\s\S]*?)```/.exec(readme)?.[1] as string
  assert.equal(written.trimEnd().split('\n').length, 6)
  const here = written
    .replace('acme', 'local')
    .replace('http://127.0.0.1:3000', backend.url)
    .replace('./dist', root)
  gateway = await startGateway(parse(here) as Parameters<typeof startGateway>[0])
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

it('pages, assets and the API are where they should be', async () => {
  const get = (path: string, ...fields: [string, string][]) =>
    ask('HTTP/2', gateway.port, { host: 'app.example.com', path, fields })
  assert.equal((await get('/api/users')).body, 'of the API')
  assert.equal((await get('/')).body, '<app>')
  assert.equal((await get('/users/7', ['accept', 'text/html,*/*;q=0.8'])).body, '<app>')
  assert.equal((await get('/assets/a.js', ['accept-encoding', 'gzip, br'])).body, 'small')
  assert.equal((await get('/assets/gone.js', ['accept', '*/*'])).status, 404)
})
