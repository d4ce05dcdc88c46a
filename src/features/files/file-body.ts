/**
 * The body of an answer, read from an open file in pieces as the client takes them: one piece is in memory, whatever the size
 * of the file. Before the last piece leaves, the file is looked at again: what was truncated or written to meanwhile ends as a
 * visible cut, never as a whole answer that is none.
 *
 * Invariant: the file is closed once, whichever way this ends.
 */
import { messageOf, ProxyError } from '../../base/errors.ts'
import type { FileStamp } from '../../model/small-file.ts'
import type { Sink } from '../../model/stage.ts'
import type { Part } from './answer.ts'
import { isSame } from './facts.ts'
import { type FilesExchange, fileSystem } from './files-exchange.ts'
import { type OpenFile, stampOf } from './open-file.ts'

/** Of one piece. Larger ones take less time for each byte; an HTTP/2 connection has many answers under way at once. */
const pieceBytes = 262_144
const pieceBytesHttp2 = 65_536

export class FileBody {
  private readonly exchange: FilesExchange
  private readonly sink: Sink
  private readonly file: OpenFile
  private readonly name: string
  private readonly stamp: FileStamp
  private readonly parts: readonly Part[]
  private readonly pieceBytes: number
  /** Of the part that is being sent */
  private at = -1
  private position = 0
  /** Bytes of the file that are not read yet */
  private left: number
  private waits = false
  /** The sink was drained, perhaps within the call that answers `false` */
  private drained = false
  private over = false

  constructor(
    exchange: FilesExchange,
    sink: Sink,
    file: OpenFile,
    stamp: FileStamp,
    name: string,
    parts: readonly Part[],
  ) {
    this.exchange = exchange
    this.sink = sink
    this.file = file
    this.stamp = stamp
    this.name = name
    this.parts = parts
    this.pieceBytes = exchange.head.version === 2 ? pieceBytesHttp2 : pieceBytes
    this.left = parts.reduce((sum, { from, to }) => sum + to - from, 0)
  }

  /** Reads the next piece, or ends. */
  goOn(): void {
    if (this.over) return
    let part = this.parts[this.at]
    while (part === undefined || this.position === part.to) {
      this.at++
      part = this.parts[this.at]
      if (part === undefined) {
        this.close()
        this.sink.end(null)
        return
      }
      this.position = part.from
      if (part.text !== null && !this.send(part.text, part.text.length)) return
    }
    const length = Math.min(this.pieceBytes, part.to - this.position)
    // What the sink was given may be kept until the client has it: each piece has memory of its own.
    const bytes = Buffer.allocUnsafeSlow(length)
    this.exchange.deadline.wait('responseBody', fileSystem)
    this.file.read(bytes, length, this.position, (error, count) =>
      this.exchange.resumed(() => {
        if (error !== null) this.fail(new ProxyError('FILE_UNREADABLE', `${this.name}: ${messageOf(error)}`, error))
        else if (count === 0) this.fail(this.changed('was truncated'))
        else this.wasRead(bytes, count)
      }),
    )
  }

  resume(): void {
    this.drained = true
    if (!this.waits) return
    this.waits = false
    this.goOn()
  }

  close(): void {
    if (this.over) return
    this.over = true
    this.file.close()
  }

  private wasRead(bytes: Buffer, count: number): void {
    this.position += count
    this.left -= count
    if (this.left > 0) {
      if (this.send(bytes, count)) this.goOn()
      return
    }
    this.file.stat((error, stats) =>
      this.exchange.resumed(() => {
        if (error !== null || !isSame(stampOf(stats), this.stamp)) this.fail(this.changed('was written to'))
        else if (this.send(bytes, count)) this.goOn()
      }),
    )
  }

  /** @returns whether to go on at once; else `resume` will */
  private send(bytes: Buffer, count: number): boolean {
    this.drained = false
    if (this.sink.data(bytes, 0, count) || this.drained) return !this.over
    this.waits = true
    return false
  }

  private changed(what: string): ProxyError {
    return new ProxyError('FILE_CHANGED', `${this.name} ${what} while it was sent`)
  }

  private fail(error: ProxyError): void {
    if (this.over) return
    this.close()
    this.sink.abort(error)
  }
}
