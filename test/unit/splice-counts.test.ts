/** A splice counts what has reached the other side's kernel, and not what it had to throw away. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { test } from 'node:test'
import { Deadlines, nowMs } from '../../src/base/deadlines.ts'
import type { ProxyError } from '../../src/base/errors.ts'
import type { Link, LinkHandler } from '../../src/model/link.ts'
import type { TicketKeys } from '../../src/model/ticket-keys.ts'
import type { Services } from '../../src/proxy/seam/services.ts'
import { Splice } from '../../src/proxy/seam/splice.ts'
import { currentTransport } from '../../src/transport/current.ts'

const deadlines = new Deadlines(nowMs, (_where, error) => assert.fail(String(error)))
const transport = currentTransport((_where, error) => assert.fail(String(error)), null, {} as TicketKeys)
const services = { deadlines } as unknown as Services

/** A link of this runtime to a peer that reads nothing, and that peer. */
async function stalled(): Promise<{ link: Link; peer: net.Socket; server: net.Server }> {
  const server = net.createServer({ pauseOnConnect: true })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  const accepted = new Promise<net.Socket>(resolve => server.once('connection', resolve))
  const opened = new Promise<Link>((resolve, reject) => {
    const handler: LinkHandler = {
      onOpen: () => resolve(link),
      onClose: reject,
      onData() {},
      onDrain() {},
      onEnd() {},
    }
    const link = transport.connect({ address: '127.0.0.1', port, tls: null }, handler)
  })
  const [link, peer] = await Promise.all([opened, accepted])
  return { link, peer, server }
}

for (const who of ['we abort', 'the peer resets'] as const)
  test(`what waits for a client that reads nothing is not counted as delivered when ${who}`, async () => {
    const client = await stalled()
    const backend = await stalled()
    const ended = new Promise<{ splice: Splice; error: ProxyError | null }>(resolve => {
      const splice = new Splice(services, client.link, backend.link, 60_000, (done, error) =>
        resolve({ splice: done, error }),
      )
      const chunk = Buffer.alloc(100_000)
      let read = 0
      // As from a backend's socket: the splice stops reading it when the client's cannot take more.
      while (!client.link.needsDrain || read < 20_000_000) {
        backend.link.handler.onData(chunk)
        read += chunk.length
      }
      const delivered = read - client.link.queuedBytes
      assert.ok(delivered > 0 && delivered < read, `${delivered} of ${read}`)
      setImmediate(() => {
        if (who === 'we abort') splice.abort(null)
        else client.peer.resetAndDestroy()
      })
    })
    const queued = client.link.queuedBytes
    const { splice } = await ended
    assert.ok(queued > 0)
    assert.equal(splice.bytesIn, 0)
    // The kernel may have taken a little more after it was asked.
    assert.ok(
      splice.bytesOut > 0 && splice.bytesOut < 20_000_000 - queued / 2,
      `${splice.bytesOut}, ${queued} queued`,
    )
    for (const each of [client, backend]) {
      each.peer.destroy()
      each.server.close()
    }
  })
