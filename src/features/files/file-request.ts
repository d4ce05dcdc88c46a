/**
 * One request for a file: the names that may answer it are tried in turn, and the first that is a file is sent. Small files come
 * from memory, where the file system was asked within the last second; everything else is asked for without blocking.
 *
 * Invariant: what was opened is closed once, also if the client leaves while it is being opened.
 */
import fs from 'node:fs'
import { nowMs } from '../../base/deadlines.ts'
import { messageOf, ProxyError } from '../../base/errors.ts'
import type { HeldBytes } from '../../base/held-bytes.ts'
import type { Reply } from '../../model/filter.ts'
import type { FileFacts, FileStamp, SmallFile } from '../../model/small-file.ts'
import type { RequestSink, Sink } from '../../model/stage.ts'
import { answerFor } from './answer.ts'
import type { Candidate } from './candidates.ts'
import { factsOf, isSame } from './facts.ts'
import { FileBody } from './file-body.ts'
import { type FilesExchange, fileSystem } from './files-exchange.ts'
import { type Folder, knownMs } from './folder.ts'
import { listingPage } from './listing.ts'
import { failure, type Opened, type OpenFile, openBelow, pathOf, stampOf } from './open-file.ts'

/** Larger ones are sent as they are read. */
const smallBytes = 65_536
/** What was changed so recently may be changed again without a trace in its times. */
const youngMs = 2_000

export class FileRequest implements RequestSink {
  private readonly folder: Folder
  private readonly exchange: FilesExchange
  private readonly sink: Sink
  private readonly candidates: readonly Candidate[]
  private at = -1
  /** Names of other codings that are not there: noted once the file itself was found */
  private absent: string[] | null = null
  private why = ''
  private waits = false
  private answered = false
  private over = false
  private file: OpenFile | null = null
  private body: FileBody | null = null

  constructor(folder: Folder, exchange: FilesExchange, sink: Sink, candidates: readonly Candidate[]) {
    this.folder = folder
    this.exchange = exchange
    this.sink = sink
    this.candidates = candidates
  }

  /** Tries the next name. */
  next(): void {
    const now = nowMs()
    for (;;) {
      const candidate = this.candidates[++this.at]
      if (candidate === undefined) {
        this.missing()
        return
      }
      // Of a folder there is nothing to hold, and its name may be a file's.
      const held = candidate.as === 'listing' ? null : this.exchange.services.smallFiles.get(this.keyOf(candidate))
      if (held === null) {
        this.open(candidate, now)
        return
      }
      if (now - held.checkedAt >= knownMs) {
        this.check(candidate, held, now)
        return
      }
      if (held.facts !== null && held.bytes !== null) {
        this.fromMemory(candidate, held.facts, held.bytes)
        return
      }
    }
  }

  data(): boolean {
    return true
  }

  dataHeld(held: HeldBytes): boolean {
    held.clear()
    return true
  }

  end(): void {}

  flush(): boolean {
    return true
  }

  resumeAnswer(): void {
    this.body?.resume()
  }

  fail(error: ProxyError): void {
    if (this.over) return
    const { answered } = this
    this.drop()
    if (answered) this.sink.abort(error)
    else this.exchange.failThrough(this.sink, error)
  }

  drop(): void {
    this.over = true
    this.file?.close()
    this.body?.close()
  }

  private keyOf({ name }: Candidate): string {
    return `${this.folder.root}/${name}`
  }

  /** From here on the answer comes later. */
  private wait(): void {
    if (this.waits) return
    this.waits = true
    this.exchange.deadline.wait('responseHead', fileSystem)
    this.exchange.onDone(() => this.drop())
  }

  private open(candidate: Candidate, now: number): void {
    this.wait()
    const { descriptors } = this.exchange.services
    const isOver = () => this.over
    const opened = (opened: Opened) => {
      // Nothing is resumed for an exchange that is over.
      if (this.over) closeOpened(opened)
      else this.exchange.resumed(() => this.opened(candidate, opened, now))
    }
    const resolved = () =>
      this.folder.resolve(now, (error, real) => {
        if (this.over) return
        if (error === null) openBelow(real, candidate.name, descriptors, isOver, opened)
        else opened(failure(error, this.folder.root))
      })
    const real = this.folder.known(now)
    if (real === null) resolved()
    else
      openBelow(real, candidate.name, descriptors, isOver, first => {
        // The root may lead elsewhere by now, and what was there is gone.
        if (first.kind === 'missing' && this.folder.isLinked) resolved()
        else opened(first)
      })
  }

  /** Whether what is held is still so: one look, without opening it. */
  private check(candidate: Candidate, held: SmallFile, now: number): void {
    this.wait()
    fs.stat(this.keyOf(candidate), (error, stats) => {
      if (this.over) return
      this.exchange.resumed(() => {
        const { facts, bytes } = held
        const same =
          error === null
            ? facts !== null && stats.isFile() && isSame(stampOf(stats), facts.stamp)
            : facts === null && error.code === 'ENOENT'
        if (!same) {
          this.exchange.services.smallFiles.delete(this.keyOf(candidate))
          this.folder.forget()
          this.open(candidate, now)
          return
        }
        held.checkedAt = now
        if (facts === null || bytes === null) this.next()
        else this.fromMemory(candidate, facts, bytes)
      })
    })
  }

  private opened(candidate: Candidate, opened: Opened, now: number): void {
    switch (opened.kind) {
      case 'failed':
        this.fail(opened.error)
        break
      case 'missing':
        if (this.why === '' || candidate.coding === null) this.why = opened.why
        if (candidate.coding !== null) (this.absent ??= []).push(this.keyOf(candidate))
        this.next()
        break
      case 'folder':
        this.file = opened.file
        this.foundFolder(candidate, opened.file)
        break
      default:
        this.file = opened.file
        this.found(candidate, opened.file, opened.stamp, now)
    }
  }

  private found(candidate: Candidate, file: OpenFile, stamp: FileStamp, now: number): void {
    if (candidate.as === 'listing') {
      file.close()
      this.why = `${candidate.name} is not a folder`
      this.next()
      return
    }
    const facts = factsOf(stamp, candidate.of, candidate.coding)
    this.noteAbsent(now)
    if (stamp.size <= smallBytes && stamp.size > 0) {
      this.readWhole(candidate, file, facts, now)
      return
    }
    const { head, bodyless, parts } = answerFor(this.exchange.head, facts, candidate.lines)
    if (parts.length === 0) file.close()
    else this.body = new FileBody(this.exchange, this.sink, file, stamp, this.keyOf(candidate), parts)
    this.answered = true
    this.sink.answer(head, bodyless)
    if (this.body === null) this.whole()
    else this.body.goOn()
  }

  private foundFolder({ name, as }: Candidate, file: OpenFile): void {
    if (as === 'listing') {
      this.list(file)
      return
    }
    file.close()
    if (as === 'path') this.reply(redirectToFolder(this.exchange))
    else {
      this.why = `${name} is a folder`
      this.next()
    }
  }

  private list(file: OpenFile): void {
    const { path } = this.exchange
    file.during<fs.Dirent[]>(
      called =>
        fs.readdir(
          pathOf(file, this.keyOf(this.candidates[this.at] as Candidate)),
          { withFileTypes: true },
          called,
        ),
      (error, entries) =>
        this.exchange.resumed(() => {
          file.close()
          if (error === null) this.reply(listingPage(path, this.exchange.forwardPath === '/', entries))
          else this.fail(new ProxyError('FILE_UNREADABLE', `${path}: ${messageOf(error)}`, error))
        }),
    )
  }

  private reply(reply: Reply): void {
    this.over = true
    this.exchange.replyThrough(this.sink, reply)
  }

  private readWhole(candidate: Candidate, file: OpenFile, facts: FileFacts, now: number): void {
    const { size, modifiedMs } = facts.stamp
    const bytes = Buffer.allocUnsafeSlow(size)
    file.read(bytes, size, 0, (error, count) =>
      this.exchange.resumed(() => {
        file.close()
        const key = this.keyOf(candidate)
        if (error !== null) this.fail(new ProxyError('FILE_UNREADABLE', `${key}: ${messageOf(error)}`, error))
        else if (count < size) this.fail(new ProxyError('FILE_CHANGED', `${key} was truncated while it was read`))
        else {
          if (Date.now() - modifiedMs > youngMs)
            this.exchange.services.smallFiles.put(key, { facts, bytes, checkedAt: now }, size)
          this.fromMemory(candidate, facts, bytes)
        }
      }),
    )
  }

  private fromMemory({ lines }: Candidate, facts: FileFacts, bytes: Buffer): void {
    const { head, bodyless, parts } = answerFor(this.exchange.head, facts, lines)
    const { downstream } = this.exchange
    downstream.cork()
    this.answered = true
    this.sink.answer(head, bodyless)
    for (const { text, from, to } of parts) {
      if (text !== null) this.sink.data(text, 0, text.length)
      if (to > from) this.sink.data(bytes, from, to)
    }
    this.whole()
    downstream.uncork()
  }

  private whole(): void {
    this.over = true
    this.sink.end(null)
  }

  /** What is not there is remembered for files that are: anybody can ask for names without end. */
  private noteAbsent(now: number): void {
    for (const key of this.absent ?? [])
      this.exchange.services.smallFiles.put(key, { facts: null, bytes: null, checkedAt: now }, 0)
  }

  private missing(): void {
    this.over = true
    this.exchange.failThrough(this.sink, new ProxyError('FILE_NOT_FOUND', this.why))
  }
}

function closeOpened(opened: Opened): void {
  if (opened.kind === 'file' || opened.kind === 'folder') opened.file.close()
}

/** To the same folder with its slash, so that relative links of its index work. */
function redirectToFolder({ path, query }: FilesExchange): Reply {
  // A path that begins with two slashes is a host to a browser, and to some a backslash is a slash.
  const location = `${path.replace(/^[/\\]+/, '/')}/${query}`
  const encoded = location.replace(/[^!#-;=?-[\]_a-z~]/g, char => `%${hex(char.charCodeAt(0))}`)
  return { status: 308, headers: { location: encoded } }
}

const hex = (code: number): string => code.toString(16).toUpperCase().padStart(2, '0')
