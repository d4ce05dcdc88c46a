/**
 * Pebble's directory with renewal windows of a test's choosing. Pebble's own are two days wide and never end before
 * tomorrow, so that nothing comes due while a test runs; all else, orders with `replaces` included, goes to Pebble itself.
 */
import { readFileSync } from 'node:fs'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { issueFiles, type TestCa } from './certificates.ts'
import { getText, type Pebble } from './pebble.ts'

export type RenewalInfo = {
  readonly directory: string
  /** Ids that were asked about, in order */
  readonly asked: readonly string[]
  stop(): void
}

export type Window = { readonly start: number; readonly end: number }

/** @param windowOf of a certificate that Pebble knows; null: Pebble's own */
export async function startRenewalInfo(
  pebble: Pebble,
  ca: TestCa,
  windowOf: (id: string) => Window | null,
): Promise<RenewalInfo> {
  const { chainFile, keyFile } = issueFiles(ca, ['127.0.0.1'])
  const own = JSON.parse(await getText(pebble.directory, ca.certificatePem))
  const asked: string[] = []
  const answer = async (url: string): Promise<object> => {
    if (url === '/dir') return { ...own, renewalInfo: `${directory.slice(0, -4)}/renewal` }
    const id = url.replace('/renewal/', '')
    asked.push(id)
    // An id that Pebble does not know has no window, and the test fails for want of a renewal.
    const info = JSON.parse(await getText(`${own.renewalInfo}/${id}`, ca.certificatePem))
    const window = info.suggestedWindow === undefined ? null : windowOf(id)
    if (window === null) return info
    const [start, end] = [new Date(window.start).toISOString(), new Date(window.end).toISOString()]
    return { suggestedWindow: { start, end }, explanationURL: 'https://ca.test/why' }
  }
  const server = https.createServer(
    { cert: readFileSync(chainFile), key: readFileSync(keyFile) },
    (request, response) => {
      answer(request.url as string).then(
        body => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
        error => response.writeHead(500).end(String(error)),
      )
    },
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const directory = `https://127.0.0.1:${(server.address() as AddressInfo).port}/dir`
  return {
    directory,
    asked,
    stop: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
