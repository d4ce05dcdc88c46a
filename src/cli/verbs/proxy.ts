/** `sallyport proxy`: a gateway without a file: one site, a certificate from the local CA, one backend. */
import { UsageError } from '../../base/errors.ts'
import { openLocalCa } from '../../certs/ca/local-ca.ts'
import { loadConfig } from '../../config/load.ts'
import { serve } from '../../process/serve.ts'
import { printError } from '../print.ts'
import type { Verb } from '../verb.ts'
import { withOptions } from './run.ts'

export const proxy: Verb = {
  name: 'proxy',
  usage: 'proxy --from https://localhost:8443 --to http://localhost:3000 [--workers N|auto]',
  summary: 'put TLS in front of one backend, without a file',
  details: `--from names the host and port to listen on; its certificate comes from the local CA, kept in
.sallyport in the current folder (or $STATE_DIRECTORY). With http:// it listens in cleartext.
--to is the backend: http://, or https:// whose certificate is verified.`,
  values: ['from', 'to', 'workers', 'log-level', 'log-format'],
  flags: [],
  async run(words, signals) {
    const from = address('--from', words.options.get('from') ?? 'https://localhost:8443')
    const to = words.options.get('to')
    if (to === undefined) throw new UsageError("proxy needs --to: the backend, such as 'http://localhost:3000'")
    address('--to', to)
    if (words.rest.length > 0) throw new UsageError(`proxy takes no '${words.rest[0]}'`)
    const secure = from.protocol === 'https:'
    const port = Number(from.port || (secure ? 443 : 80))
    const host = from.hostname
    const local = host === 'localhost' || host === '127.0.0.1' || host === '[::1]'
    const value = {
      // A name for this machine alone is served to this machine alone.
      listen: [
        {
          port,
          ...(local ? { address: host === '[::1]' ? '::1' : '127.0.0.1' } : {}),
          ...(secure ? {} : { cleartext: 'serve' }),
        },
      ],
      sites: [{ host, default: true, ...(secure ? { certificate: 'local' } : {}), to: [to] }],
      log: { access: true, format: 'text' },
    }
    return await serve({
      async load(source) {
        const loaded = await loadConfig(source === null ? { value } : { source })
        return { ...loaded, config: withOptions(loaded.config, words) }
      },
      signals,
      tlsKeyLog: undefined,
      afterReady: gateway => {
        const ca = secure ? openLocalCa(gateway.config.state).file : null
        printError(`  ${from.origin} -> ${to}\n`)
        if (ca !== null) {
          printError(`  local CA: ${ca} (sallyport certs says how to trust it)\n`)
          printError(`  try: curl --cacert ${ca} ${from.origin}/\n`)
        }
      },
    })
  },
}

function address(option: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new UsageError(`${option} takes a URL such as https://localhost:8443, not '${text}'`)
  }
  if (url.pathname !== '/' || url.search !== '' || url.username !== '') {
    throw new UsageError(`${option} takes scheme, host and port only, not '${text}'`)
  }
  return url
}
