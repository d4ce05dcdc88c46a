/** A configuration in TypeScript with filters: a plain function, an object with two phases, and two that see bodies. */
import { defineConfig } from 'sallyport'

export default defineConfig({
  listen: [{ port: 8443 }],
  sites: [{ host: 'localhost', certificate: 'local', to: 'http://127.0.0.1:3000' }],
  filters: [
    function internalOnly(x) {
      return x.request.path.startsWith('/internal/') ? { status: 404, body: 'not here\n' } : null
    },
    {
      name: 'timing',
      request(x) {
        x.state.set('startedAt', performance.now())
      },
      response(x) {
        const ms = performance.now() - (x.state.get('startedAt') as number)
        x.response?.headers.set('server-timing', `gateway;dur=${ms.toFixed(1)}`)
      },
    },
    {
      name: 'no-scripts',
      async request(x) {
        if (x.request.method !== 'POST') return null
        const body = Buffer.from(await x.request.readBody(64 * 1024))
        return body.includes('<script') ? { status: 400, body: 'no markup here\n' } : null
      },
    },
    {
      name: 'footer',
      responseBody(x) {
        const headers = x.response?.headers
        const html = headers?.get('content-type')?.startsWith('text/html') && !headers.has('content-encoding')
        return html ? { chunk: bytes => bytes, end: () => '<!-- served by sallyport -->' } : null
      },
    },
  ],
  log: { access: true, format: 'text' },
})
