/** The folder of the control sockets is ours alone, or neither a gateway nor its client uses it. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import { UsageError } from '../../src/base/errors.ts'
import { askGateway, NoGatewayError } from '../../src/control/client.ts'
import type { Running } from '../../src/control/command.ts'
import { drain } from '../../src/control/commands/drain.ts'
import { ping } from '../../src/control/commands/ping.ts'
import { controlFolder, makeControlFolder } from '../../src/control/folder.ts'
import { openControl } from '../../src/control/socket.ts'
import { refuseControlFolder } from '../../src/process/serving.ts'
import { temporaryFolder } from '../harness/certificates.ts'

const running = { gateway: { draining: false }, gatewayPid: process.pid } as Running

const made: string[] = []
after(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true })
})

/** A state folder whose path is too long for sockets, so that they are in the folder for temporary files */
function longState(): { state: string; folder: string } {
  const state = path.join(temporaryFolder('sallyport-long-'), 'x'.repeat(100))
  const folder = controlFolder(state)
  made.push(folder)
  assert.equal(path.dirname(folder), os.tmpdir())
  return { state, folder }
}

const asRoot = process.getuid?.() === 0

type Planted = readonly [what: string, plant: (folder: string) => void, why: RegExp]

const planted: readonly Planted[] = [
  [
    'a symbolic link to a folder of ours',
    folder => {
      const elsewhere = path.join(temporaryFolder('sallyport-elsewhere-'), 'control')
      mkdirSync(elsewhere, { mode: 0o700 })
      symlinkSync(elsewhere, folder)
    },
    /is a symbolic link/,
  ],
  ['a link that leads nowhere', folder => symlinkSync('/nowhere/at/all', folder), /is a symbolic link/],
  ['a file', folder => writeFileSync(folder, ''), /is no folder/],
  [
    'a folder that others may write to',
    folder => {
      mkdirSync(folder)
      chmodSync(folder, 0o777)
    },
    /is open to others \(mode 777\)/,
  ],
  [
    "a folder that others may read, with a socket's name in it",
    folder => {
      mkdirSync(folder)
      chmodSync(folder, 0o755)
      writeFileSync(path.join(folder, '1.sock'), '')
    },
    /is open to others \(mode 755\)/,
  ],
  ...(asRoot
    ? ([
        [
          'a folder of a stranger',
          folder => {
            mkdirSync(folder, { mode: 0o700 })
            chownSync(folder, 65_534, 65_534)
          },
          /belongs to the user with the id 65534, and this process runs as 0/,
        ],
      ] satisfies Planted[])
    : []),
]

describe('a control folder in the folder for temporary files', () => {
  for (const [what, plant, why] of planted) {
    it(`is refused where it is ${what}, by both sides, and stays as it is`, async () => {
      const { state, folder } = longState()
      plant(folder)
      const before = lstatSync(folder)
      const refused = (error: unknown) => {
        assert.ok(error instanceof UsageError)
        assert.match(error.message, why)
        assert.match(error.message, /remove it .* or set 'state' to another folder/)
        return true
      }
      assert.throws(() => refuseControlFolder(state), refused)
      await assert.rejects(openControl(state, running), refused)
      await assert.rejects(
        askGateway(state, drain, null),
        error => refused(error) && error instanceof NoGatewayError,
      )
      const now = lstatSync(folder)
      assert.deepEqual([now.mode, now.uid, now.ino], [before.mode, before.uid, before.ino])
    })
  }

  it('is made closed to others, and used', async () => {
    const { state, folder } = longState()
    const close = await openControl(state, running)
    assert.equal(lstatSync(folder).mode & 0o777, 0o700)
    assert.equal(await askGateway(state, ping, null), 1)
    close()
  })

  if (asRoot)
    it('is not asked through a socket that is not ours', async () => {
      const { state, folder } = longState()
      const close = await openControl(state, running)
      chownSync(path.join(folder, `${process.pid}.sock`), 65_534, 65_534)
      await assert.rejects(askGateway(state, ping, null), NoGatewayError)
      close()
    })
})

it('a control folder in the state folder is closed to others where it was open', async () => {
  const state = temporaryFolder('sallyport-state-')
  mkdirSync(path.join(state, 'control'))
  chmodSync(path.join(state, 'control'), 0o755)
  assert.equal(makeControlFolder(state), null)
  assert.equal(lstatSync(path.join(state, 'control')).mode & 0o777, 0o700)
  assert.ok(existsSync(state))
})
