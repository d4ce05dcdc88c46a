/**
 * A request body onto an HTTP/1.1 connection. What comes in one turn of the event loop leaves in one write, behind the
 * head if that is of the same turn, and its small pieces are joined before they are framed: each would cost a chunk, and
 * a system call.
 */
import { joinedAtMost } from '../../base/bytes.ts'
import { HeldBytes } from '../../base/held-bytes.ts'
import type { Link } from '../../model/link.ts'
import type { Fields } from '../../wire/fields.ts'
import { endChunks, writeChunk } from './chunked-write.ts'

export class BodyWriter {
  private readonly link: Link
  private chunked = false
  private corked = false
  /** Of this turn; not counted, since a turn's pieces are of one read */
  private readonly small = new HeldBytes(null)

  constructor(link: Link) {
    this.link = link
  }

  /** The head of a request comes next; `body`: and then one */
  begin(chunked: boolean, body: boolean): void {
    this.chunked = chunked
    this.small.clear()
    if (!body) return
    this.corked = true
    this.link.cork()
  }

  write(bytes: Uint8Array, from: number, to: number): void {
    if (to - from <= joinedAtMost && (this.chunked || !this.corked)) {
      this.small.add(bytes, from, to)
      return
    }
    const alone = !this.corked
    if (alone) this.link.cork()
    this.frameSmall()
    this.frame(bytes, from, to)
    if (alone) this.link.uncork()
  }

  end(trailers: Fields | null): void {
    const alone = !this.corked
    if (alone) this.link.cork()
    this.frameSmall()
    if (this.chunked) endChunks(this.link, trailers)
    if (alone) this.link.uncork()
  }

  /** The turn is over. */
  flush(): void {
    if (!this.corked) {
      if (this.small.length === 0) return
      this.link.cork()
    }
    this.frameSmall()
    this.corked = false
    this.link.uncork()
  }

  private frameSmall(): void {
    const { small } = this
    while (small.length > 0) {
      const { bytes, from, to } = small
      this.frame(bytes, from, to)
      small.drop(to - from)
    }
  }

  private frame(bytes: Uint8Array, from: number, to: number): void {
    if (this.chunked) writeChunk(this.link, bytes, from, to)
    else this.link.write(bytes, from, to)
  }
}
