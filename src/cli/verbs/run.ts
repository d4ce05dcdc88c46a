/** `sallyport run`: the gateway of a configuration file. */
import { UsageError } from '../../base/errors.ts'
import type { Config } from '../../config/config.ts'
import { hiding } from '../../config/hiding.ts'
import { loadConfig } from '../../config/load.ts'
import { serve } from '../../process/serve.ts'
import type { Words } from '../argv.ts'
import { refuseWhatCannotRun } from '../check/refused.ts'
import type { Verb } from '../verb.ts'

export const run: Verb = {
  name: 'run',
  usage:
    'run [-c FILE] [--workers N|auto] [--runtime bun|node] [--log-level LEVEL] [--log-format json|text] [--tls-keylog FILE]',
  summary: 'start the gateway',
  details: `Without -c: sallyport.yaml, .yml, .json or sallyport.config.ts in the current folder.
Prints 'sallyport ready' on standard error when every listener accepts connections. Logs go to standard output.
SIGTERM and SIGINT drain and exit, a second one exits at once; SIGHUP reloads the configuration.
--tls-keylog writes the secrets of every TLS session to FILE (for Wireshark, on Node only), and says so loudly.`,
  values: ['config', 'workers', 'log-level', 'log-format', 'tls-keylog'],
  flags: [],
  async run(words, signals) {
    if (words.rest.length > 0) throw new UsageError(`run takes no '${words.rest[0]}'; name the file with -c`)
    const file = words.options.get('config')
    return await serve({
      async load(source) {
        const loaded = await loadConfig(source === null ? (file === undefined ? {} : { file }) : { source })
        hiding(loaded, () => refuseWhatCannotRun(loaded))
        const { config, warnings, source: read, hide } = loaded
        return { config: withOptions(config, words), warnings, source: read, hide }
      },
      signals,
      tlsKeyLog: words.options.get('tls-keylog'),
      afterReady: () => {},
    })
  },
}

const levels = ['debug', 'info', 'warn', 'error'] as const

/** Options of the command line win over the file. */
export function withOptions(config: Config, { options }: Words): Config {
  const workers = options.get('workers')
  const level = options.get('log-level')
  const format = options.get('log-format')
  if (workers !== undefined && workers !== 'auto' && !/^[1-9]\d{0,3}$/.test(workers)) {
    throw new UsageError(`--workers takes a number from 1 or auto, not '${workers}'`)
  }
  const wantedLevel = levels.find(each => each === level)
  if (level !== undefined && wantedLevel === undefined) {
    throw new UsageError(`--log-level takes ${levels.join(', ')}, not '${level}'`)
  }
  if (format !== undefined && format !== 'json' && format !== 'text') {
    throw new UsageError(`--log-format takes json or text, not '${format}'`)
  }
  return {
    ...config,
    workers: workers === undefined ? config.workers : workers === 'auto' ? 'auto' : Number(workers),
    log: { ...config.log, level: wantedLevel ?? config.log.level, format: format ?? config.log.format },
  }
}
