/** Answers a request that never became an exchange. The connection carries no other after it. */
import type { ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { Services } from '../seam/services.ts'
import { writeError } from './respond.ts'

export function refuseRequest(services: Services, connection: Connection, error: ProxyError): void {
  const id = services.nextId()
  services.events.badRequest(connection, error, writeError(connection.link, error.code, id), id)
}
