/** `limits.connections` is of all workers together: the kernel may give any of them any number of connections. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { askGateway } from '../../src/control/client.ts'
import { status } from '../../src/control/commands/status.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { spawnGateway } from '../harness/gateway-process.ts'
import { freePort } from '../harness/ports.ts'
import { rawTcp } from '../harness/raw.ts'
import { eventually } from '../harness/until.ts'

type Client = Awaited<ReturnType<typeof rawTcp>>

it('limits.connections holds over workers, to the last one, and after one of them was killed', async () => {
  const state = temporaryFolder('sallyport-shared-')
  const port = await freePort()
  const most = 7
  const gateway = spawnGateway(
    {
      state,
      listen: [{ port, address: '127.0.0.1', cleartext: 'serve' }],
      limits: { connections: most },
      timeouts: { keepAlive: '1h' },
      sites: [{ host: 'a.test', routes: [{ respond: { body: 'here' } }] }],
    },
    { workers: 3 },
  )
  await gateway.ready
  /** A client that was served and stays connected, or null */
  const connect = async (): Promise<Client | null> => {
    const client = await rawTcp(port)
    client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    const served = await client
      .until(text => text.endsWith('here'))
      .then(
        () => true,
        () => false,
      )
    return served ? client : null
  }
  let open: Client[] = []
  /** Fills up, until three in a row were refused */
  const fill = async () => {
    for (let refused = 0; refused < 3; ) {
      const client = await connect()
      if (client === null) refused++
      else open.push(client)
    }
  }
  const connections = async () =>
    (await askGateway(state, status, null)).reduce((sum, { ok }) => sum + (ok?.connections ?? 0), 0)
  const filled = (what: string) =>
    // A worker that has refused one looks again after a moment.
    eventually(what, async () => {
      await fill()
      assert.ok(open.length <= most, `${open.length} connections`)
      return open.length === most
    })
  try {
    await filled('as many as there may be, and no more')
    // At once, on whatever workers: as many are refused as come.
    assert.deepEqual(
      (await Promise.all(Array.from({ length: 12 }, connect))).filter(client => client !== null),
      [],
    )
    for (const client of open.splice(0, 4)) client.destroy()
    await eventually('they are gone', async () => (await connections()) === most - 4)
    await filled('those that have gone are replaced, on any worker')

    const [victim] = await askGateway(state, status, null)
    process.kill(victim?.pid as number, 'SIGKILL')
    await eventually('another one takes its place', async () => {
      const replies = await askGateway(state, status, null)
      return replies.length === 3 && replies.every(({ pid, ok }) => pid !== victim?.pid && ok !== undefined)
    })
    const left: Client[] = []
    for (const client of open) {
      client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
      const alive = await client
        .until(text => text.split('here').length > 2)
        .then(
          () => true,
          () => false,
        )
      if (alive) left.push(client)
    }
    open = left
    await filled('what the killed one held is free')
    await gateway.logged(({ error, why }) => error === 'TOO_MANY_CONNECTIONS' && /\(7\)/.test(String(why)))
  } finally {
    for (const client of open) client.destroy()
    await gateway.stop()
  }
})
