/** What sending a file needs of its exchange: every one of the data plane is one. */
import type { StagedExchange } from '../../model/stage.ts'
import type { ExchangeDeadline } from '../../proxy/exchange/exchange-deadline.ts'
import type { Downstream } from '../../proxy/seam/downstream.ts'
import type { Services } from '../../proxy/seam/services.ts'

export interface FilesExchange extends StagedExchange {
  readonly services: Pick<Services, 'descriptors' | 'smallFiles' | 'deadlines'>
  readonly deadline: Pick<ExchangeDeadline, 'wait'>
  readonly downstream: Pick<Downstream, 'cork' | 'uncork'>
  resumed(next: () => void): void
}

/** Who is waited for, in errors */
export const fileSystem = 'the file system'
