/**
 * An open file, with one operation at a time, and how one is opened below a root without leaving it: it is opened first, and then
 * the kernel is asked where what was opened really lies. So no symbolic link can be put in between.
 *
 * Invariant: the descriptor is closed once, never while an operation on it is under way (its number could be another file's by
 * then), and given back to the room that it was taken from. After `close` nothing is called back.
 */
import fs from 'node:fs'
import path from 'node:path'
import { messageOf, ProxyError } from '../../base/errors.ts'
import type { FileStamp } from '../../model/small-file.ts'
import type { DescriptorRoom } from '../../proxy/seam/services.ts'

type Room = Pick<DescriptorRoom, 'file' | 'fileClosed'>
type Failure = NodeJS.ErrnoException | null

export type Opened =
  | { readonly kind: 'file'; readonly file: OpenFile; readonly stamp: FileStamp }
  /** Closed already, unless it is wanted */
  | { readonly kind: 'folder'; readonly file: OpenFile }
  | { readonly kind: 'missing'; readonly why: string }
  | { readonly kind: 'failed'; readonly error: ProxyError }

export const stampOf = ({ size, mtimeMs, ino }: fs.Stats): FileStamp => ({ size, modifiedMs: mtimeMs, inode: ino })

// Not blocking: to open a pipe would wait for its writer.
const flags = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY

/** Where Linux says what a descriptor is; other systems have no such folder. */
const ofDescriptors = fs.existsSync('/proc/self/fd') ? '/proc/self/fd' : null

/** A name of what is open, and of nothing else where Linux says so. @param full the name that it was opened with */
export const pathOf = ({ fd }: OpenFile, full: string): string =>
  ofDescriptors === null ? full : `${ofDescriptors}/${fd}`

export class OpenFile {
  readonly fd: number
  private readonly room: Room
  private busy = false
  private closed = false

  constructor(fd: number, room: Room) {
    this.fd = fd
    this.room = room
  }

  stat(done: (error: Failure, stats: fs.Stats) => void): void {
    this.busy = true
    fs.fstat(this.fd, (error, stats) => this.did(() => done(error, stats)))
  }

  read(bytes: Buffer, length: number, position: number, done: (error: Failure, count: number) => void): void {
    this.busy = true
    fs.read(this.fd, bytes, 0, length, position, (error, count) => this.did(() => done(error, count)))
  }

  /** Another operation that needs the descriptor to stay what it is. */
  during<T>(begin: (called: (error: Failure, value: T) => void) => void, done: (error: Failure, value: T) => void) {
    this.busy = true
    begin((error, value) => this.did(() => done(error, value)))
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    if (!this.busy) this.reallyClose()
  }

  private did(next: () => void): void {
    this.busy = false
    if (this.closed) this.reallyClose()
    else next()
  }

  private reallyClose(): void {
    fs.close(this.fd, () => this.room.fileClosed())
  }
}

/** @param root its real path @param name below it, without a slash at its beginning @param isOver nobody waits any more */
export function openBelow(
  root: string,
  name: string,
  room: Room,
  isOver: () => boolean,
  done: (opened: Opened) => void,
): void {
  const full = root === '/' ? `/${name}` : `${root}/${name}`
  const refused = room.file()
  if (refused !== null) {
    done({ kind: 'failed', error: refused })
    return
  }
  fs.open(full, flags, (error, fd) => {
    if (error !== null) {
      room.fileClosed()
      if (!isOver()) done(failure(error, full))
      return
    }
    const file = new OpenFile(fd, room)
    if (isOver()) file.close()
    else look(file, root, full, done)
  })
}

function look(file: OpenFile, root: string, full: string, done: (opened: Opened) => void): void {
  const end = (opened: Opened) => {
    if (opened.kind === 'missing' || opened.kind === 'failed') file.close()
    done(opened)
  }
  file.stat((error, stats) => {
    if (error !== null) end(failure(error, full))
    else if (!stats.isFile() && !stats.isDirectory())
      end({ kind: 'missing', why: `${full} is neither a regular file nor a folder` })
    else
      realPath(file, full, stats, (error, real) => {
        if (error !== null) end(failure(error, full))
        else if (real === null || !isBelow(real, root))
          end({ kind: 'missing', why: `${full} leads out of the root ${root}` })
        else end(stats.isFile() ? { kind: 'file', file, stamp: stampOf(stats) } : { kind: 'folder', file })
      })
  })
}

const isBelow = (real: string, root: string): boolean =>
  root === '/' || real === root || real.startsWith(`${root}/`)

/** Where an open file lies. Null: nobody can say for sure. */
function realPath(
  file: OpenFile,
  full: string,
  stats: fs.Stats,
  done: (error: Failure, real: string | null) => void,
): void {
  if (ofDescriptors !== null) {
    file.during<string>(called => fs.readlink(`${ofDescriptors}/${file.fd}`, called), done)
    return
  }
  // Elsewhere: what has this name now, without any link, has to be what was opened.
  file.during<string>(
    called => fs.realpath.native(full, called),
    (error, real) => {
      if (error !== null) done(error, null)
      else
        file.during<fs.Stats>(
          called => fs.lstat(real, called),
          (error, found) => {
            const same = error === null && found.ino === stats.ino && found.dev === stats.dev
            done(null, same ? real : null)
          },
        )
    },
  )
}

/** No such name, also since what should be a folder is a file, or since the name can be none. */
const missing: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'ENXIO'])
const forbidden: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM'])
const exhausted: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE'])

/** What an error of the file system means for whoever asks for this file. */
export function failure(error: NodeJS.ErrnoException, full: string): Opened {
  const { code } = error
  if (missing.has(code)) return { kind: 'missing', why: `${full}: ${code}` }
  const kind = forbidden.has(code) ? 'FILE_FORBIDDEN' : exhausted.has(code) ? 'NO_DESCRIPTORS' : 'FILE_UNREADABLE'
  return { kind: 'failed', error: new ProxyError(kind, `${path.normalize(full)}: ${messageOf(error)}`, error) }
}
