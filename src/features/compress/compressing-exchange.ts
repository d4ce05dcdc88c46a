/** What compressing an answer needs of its exchange. */
import type { HoldingExchange } from '../../proxy/exchange/hold-body.ts'
import type { Services } from '../../proxy/seam/services.ts'

/** An exchange whose answer can be compressed: every one of the data plane is. */
export interface CompressingExchange extends HoldingExchange {
  readonly services: Pick<Services, 'turn' | 'compressors'>
  resumed(next: () => void): void
}
