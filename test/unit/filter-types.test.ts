/** What the compiler says of filters; `tsc` fails where a line marked with ts-expect-error has no error. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { defineConfig } from '../../src/index.ts'
import type { FilterInput } from '../../src/model/filter.ts'

const base = { listen: [{ port: 0 }], sites: [] }

it('a filter is typed where it is written, and a misspelt field does not compile', () => {
  const config = defineConfig({
    ...base,
    filters: [
      x => (x.request.path === '/' ? { status: 403 } : null),
      async x => (x.request.headers.has('a') ? new Response(null, { status: 204 }) : undefined),
      x => void x.request.headers.set('a', 'b'),
      () => null,
      function named(x) {
        x.request.path = '/b'
      },
      {
        name: 'phases',
        attempt: x => x.request.headers.set('a', `${x.id}`),
        response: x => x.response?.headers.delete('a'),
      },
      {
        name: 'bodies',
        request: async x => ((await x.request.readBody(10, 'prefix')).length > 5 ? { status: 400 } : null),
        requestBody: () => ({ chunk: bytes => bytes, end: async () => 'end' }),
        responseBody: x => (x.response?.status === 200 ? { chunk: async () => {} } : null),
      },
      // @ts-expect-error a piece is bytes, text or nothing
      { name: 'piece', requestBody: () => ({ chunk: () => 5 }) },
      // @ts-expect-error a transform has a chunk
      { name: 'transform', responseBody: () => ({ end: () => 'x' }) },
      // @ts-expect-error the choice is refuse or prefix
      x => x.request.readBody(10, 'cut').then(() => null),
      // @ts-expect-error path is misspelt
      x => (x.request.paht === '/' ? { status: 403 } : null),
      // @ts-expect-error path is misspelt in a phase
      { name: 'misspelt', request: x => x.request.paht === '/' && null },
      // @ts-expect-error a string is no reply
      () => 'denied',
      // @ts-expect-error a status is a number
      () => ({ status: '403' }),
      // @ts-expect-error the method is read only
      x => void (x.request.method = 'GET'),
      // @ts-expect-error the attempt phase cannot wait
      { name: 'waits', attempt: async () => {} },
      // @ts-expect-error the response phase answers nothing
      { name: 'answers', response: () => ({ status: 404 }) },
      // @ts-expect-error a phase is misspelt
      { name: 'phase', reqest: () => null },
      // @ts-expect-error a filter has a name
      { request: () => null },
    ],
    sites: [
      {
        host: 'a.test',
        // @ts-expect-error the same in a route
        routes: [{ to: 'http://b.test', filters: [x => (x.request.paht ? null : { status: 403 })] }],
      },
    ],
  })
  // @ts-expect-error a number is no filter
  const wrong: FilterInput = 5
  assert.equal(wrong, 5)
  assert.equal(config.filters?.length, 19)
})
