/** Promises of filters whose exchange is over count for their connection until they settle, or until their time is over. */
import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { Deadlines } from '../../src/base/deadlines.ts'
import { FilterPromises, LeftBehind } from '../../src/proxy/exchange/left-behind.ts'

describe('a promise that is left behind', () => {
  let now = 0
  let deadlines: Deadlines
  let noneLeft = 0
  let connection: { leftBehind: number; onNoneLeft: (() => void) | null }
  let promises: FilterPromises

  beforeEach(() => {
    now = 0
    noneLeft = 0
    deadlines = new Deadlines(() => now)
    connection = { leftBehind: 0, onNoneLeft: () => void noneLeft++ }
    promises = new FilterPromises(connection, {
      leftBehind: counted => Object.assign(new LeftBehind(deadlines, counted), { deadlineAt: 1_000 }),
    })
  })

  const sweepAt = (at: number) => {
    now = at
    deadlines.sweep(at)
  }

  it('counts until it settles, once', () => {
    promises.begins()
    assert.equal(connection.leftBehind, 0)
    promises.over()
    assert.equal(connection.leftBehind, 1)
    promises.settles()
    assert.deepEqual([connection.leftBehind, noneLeft, deadlines.size], [0, 1, 0])
    sweepAt(2_000)
    assert.deepEqual([connection.leftBehind, noneLeft], [0, 1])
  })

  it('counts no longer than its filter had', () => {
    promises.begins()
    promises.over()
    sweepAt(900)
    assert.equal(connection.leftBehind, 1)
    sweepAt(1_000)
    assert.deepEqual([connection.leftBehind, noneLeft, deadlines.size], [0, 1, 0])
    promises.settles()
    assert.deepEqual([connection.leftBehind, noneLeft], [0, 1])
  })

  it('counts as one, with all that its exchange has left', () => {
    promises.begins()
    promises.begins()
    promises.over()
    promises.settles()
    assert.equal(connection.leftBehind, 1)
    promises.settles()
    assert.equal(connection.leftBehind, 0)
  })

  it('does not count where it has settled before', () => {
    promises.begins()
    promises.settles()
    promises.over()
    assert.equal(connection.leftBehind, 0)
  })
})
