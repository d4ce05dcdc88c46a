/**
 * A program that has a gateway in it: `node --conditions=sallyport-source examples/embedded/main.ts` in a checkout, and
 * `node main.ts` where sallyport is installed. It serves its own application through it, changes the configuration while a client is
 * connected, survives a mistake, and drains.
 */
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { ConfigError, type ConfigInput, createGateway, defineConfig, type GatewayEvent } from 'sallyport'

const app = http.createServer((request, response) => response.end(`the application, at ${request.url}\n`))
app.listen(0, '127.0.0.1')
await once(app, 'listening')
const backend = `http://127.0.0.1:${(app.address() as AddressInfo).port}`

const listen = [{ port: 0, address: '127.0.0.1' }]
const state = process.argv[2] ?? '.sallyport'
const config = (routes: ConfigInput['sites'][number]['routes']) =>
  defineConfig({
    state,
    listen,
    sites: [{ host: 'localhost', certificate: 'local', routes }],
    log: { access: false, level: 'error' },
  })

const onEvent = (event: GatewayEvent) => {
  if (event.kind === 'applied') console.log(`configuration ${event.version} is in force, with ${event.sites} sites`)
  if (event.kind === 'rejected') console.log(`refused: ${event.error.message}`)
  if (event.kind === 'stopped') console.log(`stopped; ${event.cut} connections were cut`)
}

const gateway = await createGateway(config([{ to: backend }]), { onEvent })
const [port] = gateway.ports
const agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false })

async function ask(path: string): Promise<string> {
  const [answer] = await once(
    https.get({ agent, host: '127.0.0.1', servername: 'localhost', port, path, headers: { host: 'localhost' } }),
    'response',
  )
  let text = ''
  for await (const chunk of answer) text += chunk
  return text
}

process.stdout.write(await ask('/orders'))

// On the same connection: a reload disturbs nothing.
await gateway.reload(config([{ match: { path: '/health' }, respond: { body: 'well\n' } }, { to: backend }]))
process.stdout.write(await ask('/health'))

// A mistake changes nothing, and is said with its place.
try {
  await gateway.reload(config([{ to: 'ftp://127.0.0.1' }]))
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  console.log(`${error.problems.length} problem, at ${error.problems[0]?.path}`)
}
process.stdout.write(await ask('/health'))

agent.destroy()
await gateway.drain()
app.close()
