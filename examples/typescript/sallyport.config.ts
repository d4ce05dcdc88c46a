/** A configuration in TypeScript with filters: a plain function, and an object with two phases. */
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
  ],
  log: { access: true, format: 'text' },
})
