/** A process of its own on a folder of values, to be killed: `storage-child.ts put|hold|race FOLDER [NUMBER]`. */
import { createHash } from 'node:crypto'
import { appendFileSync, openSync, writeSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openFileStorage } from '../../src/storage/files.ts'

/** A value that shows whether it is whole. */
export function wholeValue(number: number, bytes: number): Buffer {
  const body = Buffer.alloc(bytes, `${number},`)
  return Buffer.concat([Buffer.from(`${number} ${createHash('sha256').update(body).digest('hex')}\n`), body])
}

/** Its number; throws when it is not whole. */
export function numberOf(value: Buffer): number {
  const end = value.indexOf(10)
  const [number, hash] = value.toString('latin1', 0, end).split(' ')
  const found = createHash('sha256')
    .update(value.subarray(end + 1))
    .digest('hex')
  if (found !== hash) throw new Error(`half a value: ${value.length} bytes of ${number}`)
  return Number(number)
}

function say(text: string): void {
  writeSync(1, `${text}\n`)
}

/** Four writers, each with a key; says `KEY NUMBER` when a put is done. */
async function put(folder: string): Promise<void> {
  const storage = await openFileStorage(folder)
  const writer = async (key: string) => {
    const before = await storage.get(key)
    for (let number = before ? numberOf(before) + 1 : 1; ; number++) {
      await storage.put(key, wholeValue(number, 1 + (number % 5) * 60_000))
      say(`${key} ${number}`)
    }
  }
  say('ready')
  await Promise.all(['a/x', 'a/y', 'b/x', 'c'].map(writer))
}

/** Holds a lock until it is killed, writes with it when it is told to, and says when it has lost it. */
async function hold(folder: string, leaseMs: number): Promise<void> {
  const storage = await openFileStorage(folder, { leaseMs, beatMs: leaseMs / 6 })
  const lease = await storage.lock('l')
  if (lease === null) return say('taken')
  lease.lost.addEventListener('abort', () => say('lost'))
  process.stdin.on('data', () => {
    storage.put('k', Buffer.from('held'), { lease }).then(
      () => say('written'),
      error => say(`refused ${error.kind}`),
    )
  })
  say(`held ${lease.fence}`)
}

/** Takes the lock a number of times among others, and writes down what happens; each tenth time it dies with it. */
async function race(folder: string, times: number): Promise<void> {
  const storage = await openFileStorage(folder)
  const log = openSync(path.join(folder, '~log'), 'a')
  for (let time = 0; time < times; ) {
    const lease = await storage.lock('l')
    if (lease === null) {
      await delay(Math.random() * 3)
      continue
    }
    appendFileSync(log, `enter ${lease.fence}\n`)
    await storage.put('k', Buffer.from(String(lease.fence)), { lease })
    if (Math.random() < 0.1) {
      appendFileSync(log, `leave ${lease.fence}\n`)
      process.kill(process.pid, 'SIGKILL')
    }
    appendFileSync(log, `leave ${lease.fence}\n`)
    await lease.release()
    time++
  }
  await storage.close()
}

const [, , verb, folder, number] = process.argv
if (verb === 'put') await put(folder!)
else if (verb === 'hold') await hold(folder!, Number(number))
else if (verb === 'race') await race(folder!, Number(number))
