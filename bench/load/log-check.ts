/** Whether an access log was really written: one line for each request. */
import { existsSync, readFileSync } from 'node:fs'

/** nginx has up to 64 kB of lines in its buffer, Sallyport what it has not written yet. */
const bufferedRecords = 1500

export function linesIn(file: string): number {
  if (!existsSync(file)) return 0
  let lines = 0
  const bytes = readFileSync(file)
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++
  return lines
}

/** Datagrams are lost where their reader, which shares the load's core, is late: the proxy has sent them all the same. */
export function missingRecords(records: number, requests: number, isDatagrams: boolean): string[] {
  const least = isDatagrams ? 1 : requests * 0.99 - bufferedRecords
  return records >= least ? [] : [`${records} access log records for ${requests} requests`]
}
