/** A file as answers need it, and small ones that are held in memory. */

/** What a file was when it was read: another one has another stamp. */
export type FileStamp = { readonly size: number; readonly modifiedMs: number; readonly inode: number }

/** A file that was found, and what an answer says of it. */
export type FileFacts = {
  readonly stamp: FileStamp
  readonly etag: string
  /** As Last-Modified says it: whole seconds; null where it is left out */
  readonly modifiedMs: number | null
  readonly type: string
  /** Field lines of a whole answer, each with its CRLF */
  readonly lines: string
  /** Those of a 304 */
  readonly unchangedLines: string
}

/** `bytes` is null where there was no such file. */
export type SmallFile = {
  readonly facts: FileFacts | null
  readonly bytes: Buffer | null
  /** When the file system was last asked, by the clock of deadlines */
  checkedAt: number
}
