/**
 * A file that log lines are appended to. Nothing waits for the disk: lines are gathered for a moment and written by one call that
 * is not waited for, and what comes meanwhile is held up to a bound, beyond which whole lines are dropped and counted. Several
 * processes may append to one file: each write is of whole lines, with O_APPEND.
 *
 * The file is opened again on request, so that it may be renamed before (logrotate), and can rotate itself by size. One of the
 * processes does that; the others see that the name leads to another file and open it.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  renameSync,
  type Stats,
  statSync,
  write as writeFile,
} from 'node:fs'
import { messageOf, UsageError } from '../../base/errors.ts'
import { within } from './within.ts'

type Rotation = { readonly bytes: number; readonly keep: number }

type LogFileOptions = {
  readonly rotate: Rotation | null
  /** This process renames the file; others only follow */
  readonly rotates: boolean
  /** Lines could not be written; called once until some could be again */
  readonly onFailed: (why: string) => void
  /** The file is too large, and cannot be renamed; called once until it could be */
  readonly onNotRotated: (why: string) => void
  /** Lines are written again; `dropped` is how many were not since the last call */
  readonly onRecovered: (dropped: number) => void
}

/** As many characters are written at once, or what has come within the time. */
const fullLength = 64 * 1024
const gatherMs = 200
/** Characters that are held at most */
const mostHeld = 4 * 1024 * 1024
/** How often a file that rotates is looked at. */
const lookMs = 1_000

export class LogFile {
  readonly path: string
  /** Lines, since the start */
  dropped = 0
  private readonly options: LogFileOptions
  private descriptor: number
  private held = ''
  private isWriting = false
  /** Descriptors that a write was under way on when the file was opened again */
  private readonly left: number[] = []
  private timer: NodeJS.Timeout | null = null
  private unreported = 0
  private failed = false
  private unrotated = false
  /** The last line of the file may be without its end */
  private torn = false
  private lookedAt = 0
  private ended: (() => void) | null = null
  private closed = false

  /** Throws UsageError where it cannot be opened. */
  constructor(path: string, options: LogFileOptions) {
    this.path = path
    this.options = options
    this.descriptor = openLog(path)
  }

  /** @param line with its end */
  write(line: string): void {
    if (this.closed || this.held.length + line.length > mostHeld) {
      this.drop(1)
      return
    }
    this.held += line
    if (this.held.length >= fullLength) this.flush()
    else this.later()
  }

  /** Opens the file of that name, which may be another one by now. @returns why it could not; the one before stays in use then */
  reopen(): string | null {
    let descriptor: number
    try {
      descriptor = openLog(this.path)
    } catch (error) {
      return messageOf(error)
    }
    if (this.isWriting) this.left.push(this.descriptor)
    else closeSync(this.descriptor)
    this.descriptor = descriptor
    this.torn = false
    return null
  }

  /** Writes what is held, but takes no longer than `withinMs`; nothing is written afterwards. */
  async close(withinMs: number): Promise<void> {
    this.flush()
    if (this.isWriting)
      await within(withinMs, ended => {
        this.ended = ended
      })
    this.closed = true
    if (this.timer !== null) clearTimeout(this.timer)
    if (this.isWriting) this.left.push(this.descriptor)
    else closeSync(this.descriptor)
  }

  private later(): void {
    this.timer ??= setTimeout(() => this.flush(), gatherMs).unref()
  }

  private flush(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (this.isWriting || this.held === '') return
    const bytes = Buffer.from(this.torn ? `\n${this.held}` : this.held)
    this.held = ''
    this.isWriting = true
    writeFile(this.descriptor, bytes, 0, bytes.length, null, (error, count) => this.written(bytes, error, count))
  }

  private written(bytes: Buffer, error: Error | null, count: number): void {
    this.isWriting = false
    for (const descriptor of this.left.splice(0)) closeSync(descriptor)
    const done = error === null ? count : 0
    if (done > 0) this.torn = bytes[done - 1] !== newline
    if (done < bytes.length) {
      // The disk is full, or over its quota. What is left of the line that was begun is dropped with the others.
      this.drop(countLines(bytes.subarray(done)))
      if (!this.failed) this.options.onFailed(error === null ? 'only a part could be written' : messageOf(error))
      this.failed = true
    } else {
      this.failed = false
      const { unreported } = this
      this.unreported = 0
      if (unreported > 0) this.options.onRecovered(unreported)
    }
    // It took too long, and its descriptor may be another file's by now.
    if (this.closed) {
      this.drop(countLines(Buffer.from(this.held)))
      this.held = ''
      return
    }
    // On a full disk too: what is rotated away makes room.
    if (this.options.rotate !== null) this.look(this.options.rotate)
    if (this.held.length >= fullLength || this.ended !== null) this.flush()
    // It may have been due while this write was under way.
    else if (this.held !== '') this.later()
    if (!this.isWriting) this.ended?.()
  }

  private drop(lines: number): void {
    this.dropped += lines
    this.unreported += lines
  }

  private look({ bytes, keep }: Rotation): void {
    const now = performance.now()
    if (now - this.lookedAt < lookMs) return
    this.lookedAt = now
    const own = fstatSync(this.descriptor)
    const named = statOf(this.path)
    const isOwn = named !== null && named.ino === own.ino && named.dev === own.dev
    if (isOwn && (own.size < bytes || !this.options.rotates)) return
    const problem = (isOwn ? rotate(this.path, keep) : null) ?? this.reopen()
    if (problem !== null && !this.unrotated) this.options.onNotRotated(problem)
    this.unrotated = problem !== null
  }
}

const newline = 0x0a

function countLines(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) lines++
  return lines
}

/** A pipe or a device could make the process wait, and cannot be renamed. */
function openLog(path: string): number {
  let descriptor: number
  try {
    const flags =
      constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY
    descriptor = openSync(path, flags, 0o640)
  } catch (error) {
    throw new UsageError(`log.access.file: cannot open ${path} for writing: ${messageOf(error)}`)
  }
  if (fstatSync(descriptor).isFile()) return descriptor
  closeSync(descriptor)
  throw new UsageError(`log.access.file: ${path} is not a regular file; leave file out to log to standard output`)
}

function statOf(path: string): Stats | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}

/**
 * `access.log` becomes `access.log.1`, that `access.log.2`, and so on; the last one is overwritten.
 * @returns why it does not
 */
function rotate(path: string, keep: number): string | null {
  try {
    for (let number = keep - 1; number > 0; number--) {
      if (statOf(`${path}.${number}`) !== null) renameSync(`${path}.${number}`, `${path}.${number + 1}`)
    }
    renameSync(path, `${path}.1`)
    return null
  } catch (error) {
    return messageOf(error)
  }
}
