/** A configuration in TypeScript, with a filter that is a plain function. */
import { defineConfig } from 'sallyport'

export default defineConfig({
  listen: [{ port: 8443 }],
  sites: [{ host: 'localhost', certificate: 'local', to: 'http://127.0.0.1:3000' }],
  filters: [
    function internalOnly(exchange) {
      return exchange.request.path.startsWith('/internal/') ? { status: 404, body: 'not here\n' } : null
    },
  ],
  log: { access: true, format: 'text' },
})
