/** Answers a request that never became an exchange. The connection carries no other after it. */
import type { ProxyError } from '../../base/errors.ts'
import type { Connection } from '../../model/connection.ts'
import type { Services } from '../seam/services.ts'
import { earlyAnswer } from './early-answer.ts'
import { writeWhole } from './respond.ts'

export function refuseRequest(services: Services, connection: Connection, error: ProxyError): void {
  const id = services.nextId()
  services.events.refusedRequest(connection, 1, error, writeRefusal(services, connection, error, id), id)
}

/** Writes the answer alone. @returns its status */
export function writeRefusal(services: Services, connection: Connection, error: ProxyError, id: string): number {
  const answer = earlyAnswer(services, connection, error, id)
  writeWhole(connection.link, answer)
  return answer.status
}
