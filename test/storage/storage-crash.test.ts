/** Processes that are killed while they write or hold a lock, and disks that are full: the old value, or the new. */
import assert from 'node:assert/strict'
import { type ChildProcessByStdio, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openFileStorage } from '../../src/storage/files.ts'
import { sized } from '../harness/scale.ts'
import { isKind } from '../harness/storage-behaviour.ts'
import { numberOf } from '../harness/storage-child.ts'
import { eventually } from '../harness/until.ts'

const program = path.resolve(import.meta.dirname, '../harness/storage-child.ts')

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-storage-'))
  try {
    await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

class Child {
  readonly process: ChildProcessByStdio<Writable, Readable, null>
  readonly lines: string[] = []
  readonly gone: Promise<unknown>
  #rest = ''

  constructor(...args: string[]) {
    this.process = spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.process.stdin.on('error', () => {})
    this.process.stdout.on('data', chunk => {
      const lines = (this.#rest + chunk).split('\n')
      this.#rest = lines.pop()!
      this.lines.push(...lines)
    })
    this.gone = once(this.process, 'close')
  }

  says(line: string | RegExp): Promise<void> {
    const matches = (each: string) => (typeof line === 'string' ? each === line : line.test(each))
    return eventually(
      () => `the child says ${line}, not only ${this.lines.slice(-5)}`,
      () => this.lines.some(matches),
    )
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.gone
  }
}

const partsIn = (folder: string) =>
  readdirSync(folder, { recursive: true }).filter(name => String(name).endsWith('.part'))

/** Four values are written at each. */
const kills = sized(12, 50)

describe('a process killed while it writes', () => {
  it('leaves old values or new ones, at many moments', () =>
    withFolder(async folder => {
      const last = new Map<string, number>()
      let halfWay = 0
      let reads = 0
      const reader = await openFileStorage(folder)
      for (let round = 0; round < kills; round++) {
        const child = new Child('put', folder)
        await child.says('ready')
        // Half of them are killed as soon as a temporary file is seen, in the middle of a put; the others anywhere.
        const until = performance.now() + Math.random() * 25
        const seen = () => (round % 2 === 0 ? performance.now() > until : partsIn(folder).length > 0)
        await eventually('it is the moment to kill', async () => {
          // A reader finds whole values also while they are being written.
          for (const key of ['a/x', 'a/y', 'b/x', 'c']) {
            const value = await reader.get(key)
            if (value) numberOf(value)
            reads++
          }
          return seen()
        })
        await child.kill()
        halfWay += partsIn(folder).length
        for (const line of child.lines.slice(1)) {
          const [key, number] = line.split(' ') as [string, string]
          last.set(key, Number(number))
        }
        const storage = await openFileStorage(folder)
        for (const key of ['a/x', 'a/y', 'b/x', 'c']) {
          const value = await storage.get(key)
          const [found, said] = [value ? numberOf(value) : 0, last.get(key) ?? 0]
          assert.ok(found === said || found === said + 1, `${key} is ${found}, and ${said} was said to be written`)
          last.set(key, found)
        }
        assert.deepEqual(partsIn(folder), [])
        await storage.close()
      }
      await reader.close()
      assert.ok(reads >= 4 * kills, `only ${reads} reads`)
      assert.ok(halfWay >= kills / 4, `only ${halfWay} puts were interrupted half-way`)
    }))
})

describe('a full disk', () => {
  it('leaves the old value, nothing half, and locks that still work', () => {
    // A file system of its own where that is allowed, in a mount namespace that ends with the process.
    const script = `
      import { openFileStorage } from ${JSON.stringify(path.resolve(import.meta.dirname, '../../src/storage/files.ts'))}
      import { wholeValue, numberOf } from ${JSON.stringify(program)}
      import { readdirSync, writeFileSync } from 'node:fs'
      const folder = process.argv[2]
      const storage = await openFileStorage(folder)
      const lease = await storage.lock('l')
      await storage.put('k', wholeValue(1, 60_000))
      const kinds = []
      for (const key of ['k', 'new/k']) await storage.put(key, wholeValue(2, 900_000)).catch(error => kinds.push(error.kind))
      const left = readdirSync(folder, { recursive: true }).filter(name => String(name).endsWith('.part'))
      await storage.put('k', wholeValue(numberOf(await storage.get('k')), 10), { lease })
      await lease.release()
      const again = await storage.lock('l')
      console.log(JSON.stringify({ kinds, left, number: numberOf(await storage.get('k')), fence: again?.fence }))
      await storage.close()
    `
    const folder = mkdtempSync(path.join(os.tmpdir(), 'sallyport-storage-'))
    try {
      const file = path.join(folder, 'full.ts')
      writeFileSync(file, script)
      const run = (shell: string) =>
        spawnSync('sh', ['-c', shell, 'sh', process.execPath, file, folder], { encoding: 'utf8', timeout: 300_000 })
      const expected = { kinds: ['full', 'full'], left: [], number: 1, fence: 2 }
      // The limit on the size of a file, which is there everywhere (EFBIG): in blocks of 512 bytes.
      mkdirSync(path.join(folder, 'limited'))
      const limited = run('trap "" XFSZ; ulimit -f 300; exec "$1" "$2" "$3/limited"')
      assert.deepEqual(JSON.parse(limited.stdout || 'null'), expected, limited.stderr)
      mkdirSync(path.join(folder, 'tmpfs'))
      const mounts = 'mount -t tmpfs -o size=400k none "$3/tmpfs"'
      if (spawnSync('unshare', ['-m', 'sh', '-c', mounts, 'sh', '', '', folder]).status !== 0) return
      const full = spawnSync(
        'unshare',
        ['-m', 'sh', '-c', `${mounts} && exec "$1" "$2" "$3/tmpfs"`, 'sh', process.execPath, file, folder],
        { encoding: 'utf8', timeout: 300_000 },
      )
      assert.deepEqual(JSON.parse(full.stdout || 'null'), expected, full.stderr)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe('a lock', () => {
  it('has one holder at a time among eight processes, a tenth of which die with it; fences grow', () =>
    withFolder(async folder => {
      const times = sized(4, 12)
      const run = async () => {
        for (let left = 3; left > 0; left--) {
          const child = new Child('race', folder, String(times))
          await child.gone
          if (child.process.exitCode === 0) return
        }
      }
      await Promise.all(Array.from({ length: 8 }, run))
      const lines = readFileSync(path.join(folder, '~log'), 'utf8').trim().split('\n')
      let before = 0
      for (let at = 0; at < lines.length; at += 2) {
        const [enter, fence] = lines[at]!.split(' ')
        assert.equal(enter, 'enter')
        assert.equal(lines[at + 1], `leave ${fence}`, `after ${lines.slice(Math.max(0, at - 4), at + 4)}`)
        assert.ok(Number(fence) > before, `${fence} after ${before}`)
        before = Number(fence)
      }
      assert.ok(lines.length >= 2 * 8 * times * 0.5, `only ${lines.length} lines`)
      const storage = await openFileStorage(folder)
      assert.equal((await storage.get('k'))?.toString(), String(before))
      assert.deepEqual(partsIn(folder), [])
      // Of all those generations one file is left.
      assert.equal(readdirSync(path.join(folder, '~locks/l~')).length, 1)
      await storage.close()
    }))

  it('of a holder that was killed goes to the next at once', () =>
    withFolder(async folder => {
      const child = new Child('hold', folder, '600000')
      await child.says('held 1')
      const storage = await openFileStorage(folder)
      assert.equal(await storage.lock('l'), null)
      await child.kill()
      const lease = await storage.lock('l')
      assert.equal(lease?.fence, 2)
      await storage.close()
    }))

  it(
    'of a holder that was killed, and whose parent does not care, goes to the next at once',
    { skip: !existsSync('/proc/self/stat') },
    () =>
      withFolder(async folder => {
        const parent = spawn(
          'sh',
          ['-c', '"$0" "$1" hold "$2" 600000 & exec sleep 60', process.execPath, program, folder],
          {
            stdio: ['pipe', 'ignore', 'ignore'],
          },
        )
        const file = path.join(folder, '~locks/l~/1')
        await eventually('it holds the lock', () => existsSync(file) && statSync(file).size > 0)
        const pid = Number(readFileSync(file, 'latin1').split('.')[1])
        process.kill(pid, 'SIGKILL')
        await eventually('it is a zombie', () => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')))
        const storage = await openFileStorage(folder)
        assert.equal((await storage.lock('l'))?.fence, 2)
        await storage.close()
        parent.kill('SIGKILL')
        await once(parent, 'close')
      }),
  )

  it('that is lost while a value is being written refuses the write', () =>
    withFolder(async folder => {
      const storage = await openFileStorage(folder)
      let refused = 0
      for (let round = 0; round < 50 && refused === 0; round++) {
        const lease = await storage.lock(`l${round}`)
        const locks = path.join(folder, `~locks/l${round}~`)
        const key = `k${round}`
        const writing = storage.put(`k/${key}`, Buffer.alloc(1_000_000), { lease: lease! }).then(
          () => 'written',
          error => error.kind,
        )
        // Seen half-way; whether the rename was still to come shows in the answer.
        const parts = () => existsSync(path.join(folder, 'k')) && partsIn(path.join(folder, 'k')).length > 0
        const until = performance.now() + 10_000
        while (!parts() && performance.now() < until) await new Promise(setImmediate)
        writeFileSync(
          path.join(locks, '2'),
          readFileSync(path.join(locks, '1'), 'latin1').replace(/[0-9a-f]{32}/, 'f'.repeat(32)),
        )
        const answer = await writing
        if (answer === 'written') continue
        assert.equal(answer, 'lost')
        assert.equal(await storage.get(`k/${key}`), null)
        refused++
      }
      assert.equal(refused, 1)
      assert.deepEqual(partsIn(folder), [])
      await storage.close()
    }))

  it('of a dead holder goes to exactly one of many', () =>
    withFolder(async folder => {
      const storages = await Promise.all(Array.from({ length: 8 }, () => openFileStorage(folder)))
      const first = await storages[0]!.lock('l')
      const locks = path.join(folder, '~locks/l~')
      const [, identity] = readFileSync(path.join(locks, '1'), 'latin1').split(' ')
      await first?.release()
      let fence = 1
      for (let round = 0; round < sized(15, 60); round++) {
        const dead = `held ${identity!.replace(/\.\d+\.\d+$/, '.4194999.5')} ${'0'.repeat(32)}\n`
        writeFileSync(path.join(locks, String(++fence)), dead)
        const got = (await Promise.all(storages.map(storage => storage.lock('l')))).filter(lease => lease !== null)
        assert.equal(got.length, 1, `round ${round}`)
        assert.equal(got[0]!.fence, ++fence)
        await got[0]!.release()
      }
      for (const storage of storages) await storage.close()
    }))

  it('of a holder that stands still ends with its lease, and its writes are refused when it wakes', () =>
    withFolder(async folder => {
      const child = new Child('hold', folder, '300')
      await child.says('held 1')
      child.process.stdin.write('write\n')
      await child.says('written')
      const storage = await openFileStorage(folder, { leaseMs: 300, beatMs: 50 })
      child.process.kill('SIGSTOP')
      await eventually('the lock is ours', async () => (await storage.lock('l')) !== null)
      await storage.put('k', Buffer.from('ours'))
      child.process.stdin.write('write\n')
      child.process.kill('SIGCONT')
      await child.says('refused lost')
      await child.says('lost')
      assert.equal((await storage.get('k'))?.toString(), 'ours')
      await child.kill()
      await storage.close()
    }))

  it('of another machine is kept while its heart beats, and ends when it stops', () =>
    withFolder(async folder => {
      const storage = await openFileStorage(folder, { leaseMs: 250, beatMs: 50 })
      const locks = path.join(folder, '~locks/l~')
      mkdirSync(locks, { recursive: true })
      const file = path.join(locks, '7')
      writeFileSync(file, `held ${'0'.repeat(16)}.1.1 ${'0'.repeat(32)}\n`)
      // Its clock is an hour behind: only that the stamp moves counts.
      let beats = 0
      const until = performance.now() + 800
      const stamp = Date.now() / 1000
      while (performance.now() < until) {
        utimesSync(file, stamp, stamp + ++beats / 1000)
        assert.equal(await storage.lock('l'), null, `after ${beats} beats`)
        await delay(20)
      }
      await eventually('the lease ends', async () => (await storage.lock('l')) !== null)
      // One that stands still for twice a lease by the volume's own clock ends at once, also for who sees it first.
      const other = path.join(folder, '~locks/m~')
      mkdirSync(other, { recursive: true })
      writeFileSync(path.join(other, '3'), `held ${'0'.repeat(16)}.1.1 ${'0'.repeat(32)}\n`)
      utimesSync(path.join(other, '3'), stamp - 3_600, stamp - 3_600)
      assert.equal((await storage.lock('m'))?.fence, 4)
      // A file that a full disk or a power cut left empty is a holder like any other.
      const empty = path.join(folder, '~locks/n~')
      mkdirSync(empty, { recursive: true })
      writeFileSync(path.join(empty, '3'), '')
      assert.equal(await storage.lock('n'), null)
      await eventually('the empty one ends', async () => (await storage.lock('n')) !== null)
      await storage.close()
    }))

  it('withdraws when it slept while others passed it by', () =>
    withFolder(async folder => {
      const storage = await openFileStorage(folder)
      const lease = await storage.lock('l')
      const locks = path.join(folder, '~locks/l~')
      const holder = readFileSync(path.join(locks, '1'), 'latin1')
      // Others have taken it over twice since.
      writeFileSync(path.join(locks, '3'), holder.replace(/[0-9a-f]{32}/, 'f'.repeat(32)))
      await assert.rejects(storage.put('k', Buffer.from('x'), { lease: lease! }), isKind('lost'))
      assert.equal(lease?.lost.aborted, true)
      await lease?.release()
      assert.equal(statSync(path.join(locks, '3')).size, holder.length)
      assert.match(readFileSync(path.join(locks, '3'), 'latin1'), /^held/)
      await storage.close()
    }))

  it('is lost when somebody removes the folder under it', () =>
    withFolder(async folder => {
      const storage = await openFileStorage(folder, { leaseMs: 1_000, beatMs: 20 })
      const lease = await storage.lock('l')
      execFileSync('rm', ['-r', path.join(folder, '~locks')])
      const again = await storage.lock('l')
      assert.ok(again)
      await eventually('the first is lost', () => lease!.lost.aborted)
      assert.equal(again.lost.aborted, false)
      await storage.close()
    }))
})
