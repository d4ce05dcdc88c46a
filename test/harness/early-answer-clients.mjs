/**
 * Node's clients, which upload to URLs whose answers come before the upload has ended. Arguments: rounds, and a JSON list of URLs.
 * Writes a JSON list of `[client, url, seen]`, where `seen` is a status and the length of the body, or what went wrong.
 */
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
process.removeAllListeners('warning')

const bytes = 4_000_000
const upload = new Uint8Array(bytes)
const piece = Buffer.alloc(50_000)
const codeOf = error => error.cause?.code ?? error.code ?? error.message

const fetching = body => async url => {
  const answer = await fetch(url, { method: 'POST', duplex: 'half', body: body() })
  return `${answer.status} ${(await answer.text()).length}`
}

/** Writes piece by piece, as fast as the socket takes it. */
function pour(request) {
  let left = bytes
  const more = () => {
    while (left > 0 && !request.destroyed) {
      left -= piece.length
      if (!request.write(piece)) {
        request.once('drain', more)
        return
      }
    }
    request.end()
  }
  more()
}

const requesting = headers => url =>
  new Promise((resolve, reject) => {
    const request = (url.startsWith('https:') ? https : http).request(url, { method: 'POST', headers }, answer => {
      let length = 0
      answer.on('data', chunk => {
        length += chunk.length
      })
      answer.on('end', () => resolve(`${answer.statusCode} ${length}`))
      answer.on('error', reject)
    })
    request.on('error', reject)
    pour(request)
  })

const over2 = url =>
  new Promise((resolve, reject) => {
    const { origin, pathname } = new URL(url)
    const session = http2.connect(origin)
    session.on('error', reject)
    const stream = session.request({ ':method': 'POST', ':path': pathname })
    let status = 0
    let length = 0
    stream.on('response', headers => {
      status = headers[':status']
    })
    stream.on('data', chunk => {
      length += chunk.length
    })
    stream.on('error', reject)
    stream.on('close', () => {
      session.close()
      resolve(`${status} ${length}`)
    })
    pour(stream)
  })

const clients = {
  fetch: fetching(() => upload),
  'fetch of a stream': fetching(() => new Blob([upload]).stream()),
  'http.request': requesting({ 'content-length': bytes }),
  'http.request, chunked': requesting({}),
  http2: over2,
}

const seen = ([name, url]) => clients[name](url).catch(error => `failed: ${codeOf(error)}`)

/** In a thread, and so on a connection of its own: over HTTP/2 fetch never frees what a refused upload has left (26.10). */
const alone = (name, url) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: [name, url] })
    worker.once('message', resolve).once('error', reject)
  })

if (isMainThread) {
  const [rounds, urls] = [Number(process.argv[2]), JSON.parse(process.argv[3])]
  const results = []
  for (const name of Object.keys(clients))
    for (const url of urls) {
      if (name === 'http2' && !url.startsWith('https:')) continue
      const ask = name.startsWith('fetch') && url.startsWith('https:') ? alone : (...which) => seen(which)
      for (let round = 0; round < rounds; round++) results.push([name, url, await ask(name, url)])
    }
  process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit())
} else {
  parentPort.postMessage(await seen(workerData))
  process.exit()
}
