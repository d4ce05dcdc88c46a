/**
 * Writes text to standard output or standard error and never waits for whoever reads it: a reader that stops must not
 * stop the process. What the reader has not taken is kept up to `mostBytes`; beyond that whole lines are dropped and
 * counted. A line that was begun is always finished, so that no line is torn.
 *
 * A pipe or a terminal is opened again for this process alone, since the flag O_NONBLOCK belongs to the open file, which
 * other processes share. A socket cannot be opened again: there the flag is shared, and `unblock` sets it again after a
 * child was started or has ended, as both runtimes then clear it. Files are written to directly.
 *
 * See test/gateway/blocked-output.test.ts.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import { setNonBlocking } from './runtime.ts'

/** PIPE_BUF of Linux: a pipe takes as much at once or not at all (pipe(7)). */
const pipeBytes = 4096

const mostBytes = 4 * 1024 * 1024
/** A full pipe tells nobody when there is room: it is tried again after so long, and then ever less often. */
const firstRetryMs = 2
const lastRetryMs = 50

/** What the log says when its reader is back. */
export const recordsDropped = 'log records dropped: the reader of the log was too slow'

type OutputOptions = {
  /** Other processes write here too: lines leave in pieces of at most PIPE_BUF, so that none of them is torn */
  readonly shared?: boolean
  readonly mostBytes?: number
}

export class Output {
  /** Lines that were dropped since the start */
  dropped = 0
  /** Called when the reader has taken everything that was kept, with the number of lines dropped since the last call */
  onRecovered: ((dropped: number) => void) | null = null
  private readonly stream: 1 | 2
  private readonly shared: boolean
  private readonly mostBytes: number
  private readonly descriptor: number
  private readonly isSocket: boolean
  private kept: Buffer[] = []
  private keptBytes = 0
  /** Of the first that is kept, what was written already */
  private written = 0
  private unreported = 0
  private retryMs = firstRetryMs
  private timer: NodeJS.Timeout | null = null

  constructor(stream: 1 | 2, options: OutputOptions = {}) {
    this.stream = stream
    this.shared = options.shared ?? false
    this.mostBytes = options.mostBytes ?? mostBytes
    const { descriptor, isSocket } = openStream(stream)
    this.descriptor = descriptor
    this.isSocket = isSocket
    this.unblock()
  }

  /** To be called after a child process that shares the stream was started or has ended. */
  unblock(): void {
    if (this.isSocket) setNonBlocking(this.stream)
  }

  /** @param text whole lines */
  write(text: string): void {
    this.keep(Buffer.from(text))
    // While the reader is behind, the timer tries, and not every turn.
    if (this.timer === null) this.pump()
  }

  /** Waits until everything is written, but no longer than `withinMs`; before the process ends. */
  async finish(withinMs: number): Promise<void> {
    const until = performance.now() + withinMs
    this.pump()
    while (this.kept.length > 0 && performance.now() < until) {
      await new Promise(resolve => setTimeout(resolve, firstRetryMs))
      this.pump()
    }
  }

  private keep(bytes: Buffer): void {
    if (this.keptBytes + bytes.length > this.mostBytes && this.kept.length > 0) {
      this.drop(bytes)
      return
    }
    this.kept.push(bytes)
    this.keptBytes += bytes.length
  }

  private drop(bytes: Buffer): void {
    const lines = countLines(bytes)
    this.dropped += lines
    this.unreported += lines
  }

  private pump(): void {
    let progress = false
    while (this.kept.length > 0) {
      const first = this.kept[0] as Buffer
      const rest = first.subarray(this.written)
      let count: number
      try {
        count = writeSync(this.descriptor, this.shared ? wholeLines(rest, pipeBytes) : rest)
      } catch (error) {
        const { code } = error as { code?: string }
        if (code === 'EINTR') continue
        if (code === 'EAGAIN') {
          this.retryLater(progress)
          return
        }
        // Nobody reads any more, or the disk is full: serving goes on.
        this.drop(rest)
        this.written += rest.length
        this.advance(first)
        continue
      }
      progress = true
      this.written += count
      this.advance(first)
    }
    this.retryMs = firstRetryMs
    const { unreported } = this
    // A report that cannot be written either must not be followed by another one.
    if (unreported === 0 || !progress) return
    this.unreported = 0
    this.onRecovered?.(unreported)
  }

  private advance(first: Buffer): void {
    if (this.written < first.length) return
    this.kept.shift()
    this.keptBytes -= first.length
    this.written = 0
  }

  private retryLater(progress: boolean): void {
    this.retryMs = progress ? firstRetryMs : Math.min(lastRetryMs, this.retryMs * 2)
    if (this.timer !== null) return
    this.timer = setTimeout(() => {
      this.timer = null
      this.pump()
    }, this.retryMs)
    this.timer.unref()
  }
}

function openStream(stream: 1 | 2): { descriptor: number; isSocket: boolean } {
  try {
    const found = fstatSync(stream)
    if (found.isSocket()) return { descriptor: stream, isSocket: true }
    if (!found.isFIFO() && !found.isCharacterDevice()) return { descriptor: stream, isSocket: false }
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY
    return { descriptor: openSync(`/proc/self/fd/${stream}`, flags), isSocket: false }
  } catch {
    // Closed, another user's terminal, or a system without /proc: as a socket, with the shared flag.
    return { descriptor: stream, isSocket: true }
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++
  return lines
}

/** As many whole lines from the front as fit, or the first one, which is longer. */
export function wholeLines(bytes: Buffer, most: number): Buffer {
  if (bytes.length <= most) return bytes
  const fitting = bytes.lastIndexOf(10, most - 1)
  const end = fitting >= 0 ? fitting : bytes.indexOf(10)
  return end < 0 ? bytes : bytes.subarray(0, end + 1)
}
