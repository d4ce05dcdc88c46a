/** `files`: a folder whose files answer the requests of a route. */
import { ProxyError } from '../../base/errors.ts'
import { needsNoBody, type Origin, WrappedSink } from '../../model/stage.ts'
import { lastHop } from '../../proxy/exchange/origins.ts'
import type { ResponseHead } from '../../wire/heads.ts'
import { candidatesFor } from './candidates.ts'
import { filePath } from './file-path.ts'
import { FileRequest } from './file-request.ts'
import type { FilesExchange } from './files-exchange.ts'
import { Folder } from './folder.ts'
import type { FilesConfig } from './options.ts'

export function filesOrigin(config: FilesConfig): Origin {
  const folder = new Folder(config.root)
  return (staged, sink) => {
    const exchange = staged as FilesExchange
    if (lastHop(exchange, sink)) return needsNoBody
    const { method, version, upgrade, fields } = exchange.head
    // A 200 would open the tunnel of an extended CONNECT.
    const tunnels = version === 2 && upgrade !== null
    if ((method !== 'GET' && method !== 'HEAD') || tunnels) {
      if (method === 'OPTIONS') exchange.replyThrough(sink, options)
      else exchange.failThrough(new AllowSink(sink), new ProxyError('METHOD_NOT_ALLOWED', `${method} of a file`))
      return needsNoBody
    }
    const path = filePath(exchange.forwardPath)
    if (path === null) {
      const why = `${exchange.forwardPath} names no file that is served`
      exchange.failThrough(sink, new ProxyError('FILE_NOT_FOUND', why))
      return needsNoBody
    }
    const request = new FileRequest(folder, exchange, sink, candidatesFor(path, fields, config))
    request.next()
    return request
  }
}

const allow = 'GET, HEAD, OPTIONS'
const options = { status: 204, headers: { allow } }

/** A 405 says what is allowed (RFC 9110 section 15.5.6). */
class AllowSink extends WrappedSink {
  override answer(head: ResponseHead, bodyless: boolean): void {
    head.fields.set('allow', allow)
    this.sink.answer(head, bodyless)
  }
}
