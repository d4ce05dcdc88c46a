/**
 * Transforms of a body, without sockets: pieces keep their order and none is lost, whoever waits and whoever calls back
 * before it returns; the source is stopped by whoever is slow, and let go on once.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Share } from '../../src/base/memory-budget.ts'
import type { BodyTransform, Filter } from '../../src/model/filter.ts'
import { BodyChain, type BodyOwner } from '../../src/proxy/exchange/body-chain.ts'
import type { Fields } from '../../src/wire/fields.ts'
import { newShare } from '../harness/stage-peers.ts'

type How = {
  /** Each transform answers at once, or when it is told to */
  readonly transforms: readonly ('now' | 'later')[]
  /** What takes the output: always open, full after each piece until it is drained, or drained before it has answered */
  readonly target: 'open' | 'full' | 'drained within'
}

class Made implements BodyOwner {
  readonly calls: string[] = []
  readonly promises = { begins() {}, settles() {} }
  readonly share: Share = newShare()
  readonly chain: BodyChain
  full = false
  got = ''
  /** Called within `bodyDrained` */
  onDrained = () => {}
  readonly settles: (() => void)[] = []

  constructor({ transforms, target }: How, each: (at: number) => Partial<BodyTransform> = () => ({})) {
    const named = transforms.map((kind, at) => {
      const mark = String.fromCharCode(97 + at)
      const give = (text: string): string | Promise<string> =>
        kind === 'now' ? text : new Promise(resolve => this.settles.push(() => resolve(text)))
      const transform: BodyTransform = {
        chunk: bytes => give(Buffer.from(bytes).toString()),
        end: () => give(mark),
        ...each(at),
      }
      return { filter: { name: mark } as Filter, transform }
    })
    this.chain = new BodyChain(named, this.share, this, {
      data: (bytes, from, to) => {
        this.got += bytes.subarray(from, to)
        if (target === 'open') return true
        if (target === 'drained within') this.chain.resume()
        this.full = target === 'full'
        return false
      },
      end: (trailers: Fields | null) => {
        this.got += trailers === null ? '.' : ';'
      },
    })
  }

  bodyDrained(): void {
    this.calls.push('drained')
    this.onDrained()
  }
  bodyWaits(filter: Filter): void {
    this.calls.push(`waits ${filter.name}`)
  }
  bodySettled(): void {
    this.calls.push('settled')
  }
  bodyFailed(filter: Filter, error: unknown): void {
    this.calls.push(`failed ${filter.name} ${(error as Error).message}`)
  }
  resumed(next: () => void): void {
    next()
  }

  send(text: string): boolean {
    return this.chain.data(Buffer.from(text), 0, text.length)
  }

  /** Lets everybody go on until nothing happens any more. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 10; quiet++) {
      const next = this.settles.shift()
      if (next !== undefined || this.full) quiet = 0
      next?.()
      if (this.full) {
        this.full = false
        this.chain.resume()
      }
      await Promise.resolve()
    }
  }
}

const kinds = ['now', 'later'] as const
const targets = ['open', 'full', 'drained within'] as const
const table: How[] = targets.flatMap(target => [
  ...kinds.map(one => ({ target, transforms: [one] })),
  ...kinds.flatMap(one => kinds.map(two => ({ target, transforms: [one, two] }))),
])

describe('a body through transforms', () => {
  for (const how of table)
    it(`arrives in order (${how.transforms.join(' and ')}, target ${how.target})`, async () => {
      const made = new Made(how)
      const pieces = ['1', '2', '3', '4', '5', '6']
      // A source that sends when it is let, within the call that lets it, and does not mind one piece too much.
      const go = () => {
        while (pieces.length > 0) if (!made.send(pieces.shift() as string)) return
        made.onDrained = () => {}
        made.chain.end(null)
      }
      made.onDrained = go
      go()
      await made.settle()
      assert.equal(made.got, `123456${how.transforms.map((_, at) => 'ab'[at]).join('')}.`)
      assert.equal(made.share.bytes, 0)
    })

  it('stops its source while a promise is waited for, and holds what still comes', async () => {
    const made = new Made({ transforms: ['later'], target: 'open' })
    assert.equal(made.send('1'), false)
    assert.equal(made.send('2'), false)
    assert.ok(made.share.bytes > 0)
    assert.deepEqual([made.got, made.calls], ['', ['waits a']])
    await made.settle()
    assert.deepEqual([made.got, made.share.bytes], ['12', 0])
    assert.equal(made.calls.filter(call => call === 'drained').length, 1)
  })

  it('stops its source while the output is not taken', () => {
    const made = new Made({ transforms: ['now', 'now'], target: 'full' })
    assert.equal(made.send('1'), false)
    assert.equal(made.send('2'), false)
    assert.equal(made.got, '1')
    made.chain.resume()
    assert.equal(made.got, '12')
    assert.deepEqual(made.calls, [])
    made.chain.resume()
    assert.deepEqual(made.calls, ['drained'])
  })

  for (const how of ['throws', 'rejects'] as const)
    for (const when of ['chunk', 'end'] as const)
      it(`ends with the filter that ${how} in ${when}`, async () => {
        const fails = () => {
          if (how === 'throws') throw new Error('x')
          return Promise.reject(new Error('x'))
        }
        const made = new Made({ transforms: ['now', 'now'], target: 'open' }, at =>
          at === 1 ? { [when]: fails } : {},
        )
        made.send('1')
        made.chain.end(null)
        await made.settle()
        made.send('2')
        made.chain.end(null)
        await made.settle()
        assert.deepEqual(
          made.calls.filter(call => call.startsWith('failed')),
          ['failed b x'],
        )
        assert.equal(made.got, when === 'chunk' ? '' : '1a')
      })

  it('that is dropped lets go of what it holds, and a promise that settles late has no effect', async () => {
    const made = new Made({ transforms: ['later'], target: 'open' })
    made.send('1')
    made.send('2')
    made.chain.drop()
    assert.equal(made.share.bytes, 0)
    await made.settle()
    assert.equal(made.got, '')
  })

  it('reminds of the filter that is waited for, where something else was waited for meanwhile', () => {
    const made = new Made({ transforms: ['now', 'later'], target: 'open' })
    made.send('1')
    made.chain.remind()
    assert.deepEqual(made.calls, ['waits b', 'waits b'])
  })
})
