/** `curl --compressed` in front, over HTTP/1.1 and HTTP/2: it decodes what it gets, whole answers and streams, in every coding that it knows. */
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { codings } from '../../src/features/compress/codings.ts'
import { type Started, startGateway } from '../harness/gateway.ts'
import { type RecordingBackend, recordingBackend } from '../harness/raw.ts'

const run = promisify(execFile)
const skip = spawnSync('curl', ['--version']).error === undefined ? false : 'curl is not installed'
const features = skip ? '' : execFileSync('curl', ['--version'], { encoding: 'utf8' })
const knows = { zstd: /zstd/, br: /brotli/, gzip: /libz/ } as const

const json = JSON.stringify(Array.from({ length: 300 }, (_, id) => ({ id, name: `customer ${id}` })))
const large = json.repeat(100)
let backend: RecordingBackend
let gateway: Started

before(async () => {
  backend = await recordingBackend((client, received) => {
    if (!received.endsWith('\r\n\r\n')) return
    const asked = /^GET (\S+)/.exec(received.slice(received.lastIndexOf('GET ')))?.[1]
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
    const body = asked === '/large' ? large : json
    if (asked !== '/chunked') client.send(`${head}Content-Length: ${body.length}\r\n\r\n${body}`)
    else {
      client.send(`${head}Transfer-Encoding: chunked\r\n\r\n`)
      const half = body.length >> 1
      const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
      client.send(chunk(body.slice(0, half)))
      setImmediate(() => client.send(`${chunk(body.slice(half))}0\r\n\r\n`))
    }
  })
  gateway = await startGateway({
    sites: codings.map(coding => ({
      host: `${coding}.test`,
      certificate: 'local' as const,
      compress: { algorithms: coding },
      to: backend.url,
    })),
  })
})

after(async () => {
  await gateway.stop()
  await backend.close()
})

describe('curl --compressed', { skip }, () => {
  for (const coding of codings)
    for (const version of ['--http1.1', '--http1.0', '--http2'])
      it(`decodes ${coding} (${version})`, {
        skip: knows[coding].test(features) ? false : 'this curl cannot',
      }, async () => {
        const host = `${coding}.test`
        const to = `https://${host}:${gateway.port}`
        const args = ['-sS', '--cacert', gateway.caFile, '--resolve', `${host}:${gateway.port}:127.0.0.1`, version]
        const curl = async (...more: string[]) =>
          (await run('curl', [...args, ...more], { encoding: 'latin1', maxBuffer: 64 << 20 })).stdout
        for (const path of ['/', '/chunked', '/large']) {
          const got = await curl('--compressed', to + path)
          assert.ok(got === (path === '/large' ? large : json), `${path}: ${got.length} bytes`)
        }
        const heads = await curl('--compressed', '-o', '/dev/null', '-D', '-', to)
        assert.match(heads, new RegExp(`^content-encoding: ${coding}\r$`, 'im'))
        assert.equal(await curl(to), json)
      })
})
