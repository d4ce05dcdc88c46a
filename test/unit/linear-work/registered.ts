/** Every parser, matcher and log path with its worst inputs. test/unit/layers.test.ts holds that none is missing. */
import { config } from './config.ts'
import { files } from './files.ts'
import { http1 } from './http1.ts'
import { http2 } from './http2.ts'
import { logs } from './logs.ts'
import { routes } from './routes.ts'
import { startTls } from './start-tls.ts'
import { tls } from './tls.ts'
import type { Worst } from './worst.ts'

export const registered: readonly Worst[] = [
  ...http1,
  ...http2,
  ...tls,
  ...startTls,
  ...routes,
  ...logs,
  ...config,
  ...files,
]

/** Files of src/wire and src/route whose functions read nothing that a peer or a configuration made long, and why. */
export const withoutInput: Readonly<Record<string, string>> = {
  'src/wire/cipher-names.ts': 'a table',
  'src/wire/cloud-variables.ts': 'a table',
  'src/wire/client-hello-write.ts': 'writes our own hello',
  'src/wire/h2-frames.ts': 'numbers of frames, and four bytes at a time',
  'src/wire/proxy-header.ts': 'two addresses',
  'src/wire/start-tls/dialog.ts': 'the forms of answers',
  'src/wire/start-tls/dialogs.ts': 'chooses a dialog',
  'src/wire/start-tls/unavailable.ts': 'a table',
  'src/wire/tls-alert.ts': 'a table',
  'src/wire/tls-names.ts': 'tables',
}
