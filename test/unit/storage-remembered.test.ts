/** Values that are put back into a storage that has lost them, and never over others. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Storage } from '../../src/model/storage.ts'
import { remembered } from '../../src/storage/remembered.ts'
import { MemoryStorage } from '../harness/memory-storage.ts'
import { eventually } from '../harness/until.ts'

function parts(): { memory: MemoryStorage; storage: Storage; tell(key: string | null): void } {
  const memory = new MemoryStorage()
  let tell: (key: string | null) => void = () => {}
  memory.watch = (_, changed) => {
    tell = changed
    return () => {}
  }
  const storage = remembered(memory, { prefix: 'accounts/', lockOf: key => key.replace('/', '.') })
  return { memory, storage, tell: key => tell(key) }
}

const bytes = (text: string) => Buffer.from(text)
const held = (memory: MemoryStorage) =>
  Object.fromEntries([...memory.values].map(([key, { value }]) => [key, value.toString()]))

it('what was read or written under the prefix is put back, and nothing over what is there', async () => {
  const { memory, storage, tell } = parts()
  await memory.put('accounts/read', bytes('read'))
  await memory.put('accounts/unread', bytes('unread'))
  await storage.get('accounts/read')
  await storage.put('accounts/written', bytes('written'))
  await storage.put('accounts/other', bytes('old'))
  await storage.put('certificates/a', bytes('a'))
  await storage.put('accounts/deleted', bytes('x'))
  await storage.delete('accounts/deleted')
  memory.values.clear()
  await memory.put('accounts/other', bytes('new'))
  // One comes between the look and the lock.
  memory.before = (operation, key) => {
    if (operation === 'lock' && key === 'accounts.read')
      memory.values.set('accounts/read', { value: bytes('made anew'), until: Number.POSITIVE_INFINITY })
  }
  tell(null)
  const wanted = { 'accounts/other': 'new', 'accounts/read': 'made anew', 'accounts/written': 'written' }
  await eventually('all are back', () => memory.values.size >= 3)
  await storage.close()
  assert.deepEqual(held(memory), wanted)
})

it('what others change or delete is followed, and what somebody makes anew is left to them', async () => {
  const { memory, storage, tell } = parts()
  for (const name of ['changed', 'deleted', 'made', 'last']) await storage.put(`accounts/${name}`, bytes('old'))
  await memory.put('accounts/changed', bytes('new'))
  await memory.delete('accounts/deleted')
  tell('accounts/changed')
  tell('accounts/deleted')
  tell(null)
  const looked = await memory.lock('accounts.made')
  await storage.get('accounts/changed')
  await new Promise(setImmediate)
  memory.values.clear()
  tell(null)
  await eventually('those that nobody makes are back', () => memory.values.size === 2)
  assert.deepEqual(held(memory), { 'accounts/changed': 'new', 'accounts/last': 'old' })
  await looked?.release()
  tell(null)
  await eventually('so is the other', () => memory.values.size === 3)
  await storage.close()
  assert.equal(held(memory)['accounts/deleted'], undefined)
})
