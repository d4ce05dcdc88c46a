/** Clients of a cleartext listener that leave as their connection ends do not leave its descriptor behind. */
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { cleartextListener, localhostWith, startGateway } from '../harness/gateway.ts'
import { rawTcp } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

const openFiles = () => readdirSync('/proc/self/fd').length

describe('a cleartext connection', () => {
  it('that is cut while it ends is closed for good', async () => {
    const gateway = await startGateway({
      listen: cleartextListener,
      sites: localhostWith({ respond: { body: 'here' } }),
    })
    const one = async () => {
      const client = await rawTcp(gateway.port)
      client.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await client.until(text => text.endsWith('here'))
      return client
    }
    const clients = await Promise.all(Array.from({ length: 20 }, one))
    const before = openFiles()
    // Ends what is idle, and cuts in the same turn what has not gone by then.
    await gateway.stop()
    for (const client of clients) client.destroy()
    await eventually('all are closed', () => openFiles() <= before - 2 * clients.length)
  })
})
