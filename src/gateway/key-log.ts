/** A file to which the secrets of TLS sessions are written, in the lines of SSLKEYLOGFILE. */
import { openSync, writeSync } from 'node:fs'
import { messageOf, UsageError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { KeyLog } from '../transport/transport.ts'

/** Throws UsageError where it cannot be opened. */
export function openKeyLog(file: string | undefined, log: Log): KeyLog {
  if (file === undefined) return null
  let descriptor: number
  try {
    descriptor = openSync(file, 'a', 0o600)
  } catch (error) {
    throw new UsageError(`--tls-keylog ${file}: ${messageOf(error)}`)
  }
  const message = 'SESSION SECRETS ARE WRITTEN TO A FILE: anyone who can read it can decrypt all client traffic'
  log.write('error', message, { file })
  return line => void writeSync(descriptor, line)
}
