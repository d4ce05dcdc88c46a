/** `files`: what a folder answers over both versions. Hostile paths and links: files-refused; large files: files-large. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Ask, ask, versions } from '../harness/ask.ts'
import { temporaryFolder } from '../harness/certificates.ts'
import { longAgo, writeTree } from '../harness/file-tree.ts'
import { localhostWith, type Started, startGateway } from '../harness/gateway.ts'

const root = temporaryFolder('sallyport-files-')
const letters = 'abcdefghijklmnopqrstuvwxyz'
const modified = longAgo.toUTCString()
const later = 'Sun, 04 Feb 2024 04:05:06 GMT'
const earlier = 'Fri, 02 Feb 2024 04:05:06 GMT'

let gateway: Started

before(async () => {
  writeTree(root, {
    'index.html': '<h1>home</h1>',
    'letters.txt': letters,
    'empty.txt': '',
    'app.js': 'plain()',
    'app.js.br': 'brotli bytes',
    'app.js.gz': 'gzip bytes',
    'big.bin': Buffer.alloc(300_000, 'x'),
    'data.unknown': '?',
    'docs/index.html': '<h1>docs</h1>',
    'docs/a & b.txt': 'named',
    'no-index/ümlaut.txt': 'ü',
    'no-index/<b>.txt': 'bold',
    'no-index/.hidden': 'no',
    '.well-known/security.txt': 'Contact: mailto:a@example.com',
  })
  gateway = await startGateway({
    sites: localhostWith(
      { match: { path: '/spa/*' }, strip: '/spa', files: { root, fallback: 'index.html', index: [] } },
      { match: { path: '/pre/*' }, strip: '/pre', files: { root, precompressed: true } },
      { match: { path: '/list/*' }, strip: '/list', files: { root, listing: true } },
      { match: { path: '/squeezed/*' }, strip: '/squeezed', compress: { min: '0b' }, files: { root } },
      { match: { path: '/paged/*' }, errors: { 404: { file: path.join(root, 'index.html') } }, files: { root } },
      { files: { root } },
    ),
  })
})

after(() => gateway.stop())

for (const version of versions) {
  describe(version, () => {
    const get = (path: string, more: Omit<Ask, 'path'> = {}) => ask(version, gateway.port, { path, ...more })
    const asked = (path: string, ...fields: [string, string][]) => get(path, { fields })

    it('a file, with what there is to say of it', async () => {
      // From the file system, and then from memory.
      for (let times = 0; times < 2; times++) {
        const answer = await get('/letters.txt')
        assert.deepEqual([answer.status, answer.body, answer.whole], [200, letters, true])
        assert.equal(answer.field('content-type'), 'text/plain; charset=utf-8')
        assert.equal(answer.field('content-length'), '26')
        assert.equal(answer.field('last-modified'), modified)
        assert.equal(answer.field('accept-ranges'), 'bytes')
        assert.match(answer.field('etag') ?? '', /^"[a-z0-9]+-q"$/)
      }
      const record = await gateway.logged(({ path, status }) => path === '/letters.txt' && status === 200)
      assert.equal(record['bytesOut'], 26)
    })

    it('HEAD has the fields and no body', async () => {
      for (const path of ['/letters.txt', '/big.bin']) {
        const [head, whole] = [await get(path, { method: 'HEAD' }), await get(path)]
        assert.deepEqual([head.status, head.body], [200, ''])
        for (const name of ['content-length', 'content-type', 'etag', 'last-modified'])
          assert.equal(head.field(name), whole.field(name), name)
      }
    })

    it('types by the end of the name', async () => {
      const type = async (path: string) => (await get(path)).field('content-type')
      assert.equal(await type('/app.js'), 'text/javascript; charset=utf-8')
      assert.equal(await type('/big.bin'), 'application/octet-stream')
      assert.equal(await type('/data.unknown'), 'application/octet-stream')
      assert.equal(await type('/'), 'text/html; charset=utf-8')
    })

    it('an empty file', async () => {
      const answer = await get('/empty.txt')
      assert.deepEqual([answer.status, answer.body, answer.field('content-length')], [200, '', '0'])
      assert.equal((await asked('/empty.txt', ['range', 'bytes=0-0'])).status, 416)
      assert.equal((await asked('/empty.txt', ['range', 'bytes=-1'])).status, 200)
    })

    it('a folder is answered by its index, and by a redirect where the slash is missing', async () => {
      assert.equal((await get('/docs/')).body, '<h1>docs</h1>')
      const moved = await get('/docs?a=b')
      assert.deepEqual([moved.status, moved.field('location')], [308, '/docs/?a=b'])
      const inside = await get('/pre/docs')
      assert.deepEqual([inside.status, inside.field('location')], [308, '/pre/docs/'])
      assert.equal((await get('/no-index/')).status, 404)
      assert.equal((await get('/letters.txt/')).status, 404)
    })

    it('names with spaces and of other alphabets', async () => {
      assert.equal((await get('/docs/a%20&%20b.txt')).body, 'named')
      assert.equal((await get('/no-index/%C3%BCmlaut.txt')).body, 'Ã¼')
      assert.equal((await get('/.well-known/security.txt')).status, 200)
    })

    it('other methods are refused with those that are allowed', async () => {
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND']) {
        const answer = await get('/letters.txt', { method, body: method === 'POST' ? 'x' : undefined })
        assert.deepEqual([answer.status, answer.field('allow')], [405, 'GET, HEAD, OPTIONS'], method)
      }
      const options = await get('/letters.txt', { method: 'OPTIONS' })
      assert.deepEqual([options.status, options.field('allow')], [204, 'GET, HEAD, OPTIONS'])
    })

    it('a body of a GET is read away', async () => {
      assert.equal((await get('/letters.txt', { body: 'x'.repeat(100_000) })).body, letters)
    })

    it('conditions, in their order of precedence', async () => {
      const etag = (await get('/letters.txt')).field('etag') ?? ''
      const status = async (...fields: [string, string][]) => (await asked('/letters.txt', ...fields)).status
      assert.equal(await status(['if-none-match', etag]), 304)
      assert.equal(await status(['if-none-match', `"a,b", W/${etag}`]), 304)
      assert.equal(await status(['if-none-match', '"other"']), 200)
      assert.equal(await status(['if-none-match', '*']), 304)
      assert.equal(await status(['if-none-match', '"a"'], ['if-none-match', etag]), 304)
      assert.equal(await status(['if-none-match', '"other"'], ['if-modified-since', modified]), 200)
      assert.equal(await status(['if-modified-since', modified]), 304)
      assert.equal(await status(['if-modified-since', later]), 304)
      assert.equal(await status(['if-modified-since', earlier]), 200)
      assert.equal(await status(['if-modified-since', 'yesterday']), 200)
      assert.equal(await status(['if-match', etag]), 200)
      assert.equal(await status(['if-match', `W/${etag}`]), 412)
      assert.equal(await status(['if-match', '"other"']), 412)
      assert.equal(await status(['if-match', '*']), 200)
      assert.equal(await status(['if-match', etag], ['if-unmodified-since', earlier]), 200)
      assert.equal(await status(['if-unmodified-since', earlier]), 412)
      assert.equal(await status(['if-unmodified-since', modified]), 200)
      assert.equal(await status(['if-match', '"other"'], ['if-none-match', etag]), 412)
    })

    it('a 304 has the tag and no body', async () => {
      const etag = (await get('/letters.txt')).field('etag') ?? ''
      const answer = await asked('/letters.txt', ['if-none-match', etag])
      assert.deepEqual([answer.status, answer.body, answer.field('etag')], [304, '', etag])
      assert.deepEqual([answer.field('content-type'), answer.field('content-length')], [null, null])
    })

    it('ranges', async () => {
      for (const [range, part, place] of [
        ['bytes=0-4', 'abcde', '0-4'],
        ['bytes=24-', 'yz', '24-25'],
        ['bytes=-3', 'xyz', '23-25'],
        ['bytes=20-999999999999999', 'uvwxyz', '20-25'],
        ['bytes=-99', letters, '0-25'],
        ['BYTES=0-0', 'a', '0-0'],
        ['bytes=30-,1-2', 'bc', '1-2'],
      ] as const) {
        const answer = await asked('/letters.txt', ['range', range])
        assert.deepEqual([answer.status, answer.body], [206, part], range)
        assert.equal(answer.field('content-range'), `bytes ${place}/26`)
        assert.equal(answer.field('content-length'), `${part.length}`)
      }
    })

    it('ranges that are none, too many, or that overlap are answered whole', async () => {
      const many = Array.from({ length: 17 }, (_, at) => `${at}-${at}`).join(',')
      for (const range of [
        'bytes=',
        'bytes=5-4',
        'bytes=a-b',
        'bytes=-',
        'bytes=0-1,',
        'lines=0-1',
        'bytes 0-1',
        'bytes=0-9,5-20',
        'bytes=0-,0-,0-',
        'bytes=0-1;2-3',
        `bytes=${many}`,
      ]) {
        const answer = await asked('/letters.txt', ['range', range])
        const whole = range === 'bytes=0-1,' ? [206, 'ab'] : [200, letters]
        assert.deepEqual([answer.status, answer.body], whole, range)
      }
      const head = await get('/letters.txt', { method: 'HEAD', fields: [['range', 'bytes=0-1']] })
      assert.deepEqual([head.status, head.field('content-length')], [200, '26'])
    })

    it('a range outside of the file', async () => {
      const answer = await asked('/letters.txt', ['range', 'bytes=26-'])
      assert.deepEqual([answer.status, answer.field('content-range'), answer.body], [416, 'bytes */26', ''])
      assert.equal((await asked('/letters.txt', ['range', 'bytes=-0'])).status, 416)
    })

    it('several ranges, of a small file and of a large one', async () => {
      for (const [path, size] of [
        ['/letters.txt', 26],
        ['/big.bin', 300_000],
      ] as const) {
        const answer = await asked(path, ['range', 'bytes=3-4, 0-0,-2'])
        const boundary = /^multipart\/byteranges; boundary=([\w-]{20})$/.exec(
          answer.field('content-type') ?? '',
        )?.[1]
        const type = path === '/big.bin' ? 'application/octet-stream' : 'text/plain; charset=utf-8'
        const part = (place: string, text: string) =>
          `--${boundary}\r\ncontent-type: ${type}\r\ncontent-range: bytes ${place}/${size}\r\n\r\n${text}\r\n`
        const [de, a, yz] = path === '/big.bin' ? ['xx', 'x', 'xx'] : ['de', 'a', 'yz']
        const body = `${part('3-4', de)}${part('0-0', a)}${part(`${size - 2}-${size - 1}`, yz)}--${boundary}--\r\n`
        assert.deepEqual([answer.status, answer.whole], [206, true])
        assert.equal(answer.body, body)
        assert.equal(answer.field('content-length'), `${body.length}`)
        assert.equal(answer.field('content-range'), null)
      }
    })

    it('If-Range', async () => {
      const etag = (await get('/letters.txt')).field('etag') ?? ''
      const status = async (value: string) =>
        (await asked('/letters.txt', ['range', 'bytes=0-1'], ['if-range', value])).status
      assert.equal(await status(etag), 206)
      assert.equal(await status(`W/${etag}`), 200)
      assert.equal(await status('"other"'), 200)
      assert.equal(await status(modified), 206)
      assert.equal(await status(later), 200)
      assert.equal(await status('Saturday, 03-Feb-24 04:05:06 GMT'), 206)
    })

    it('precompressed files, for those who accept them', async () => {
      const coded = async (accept: string | null) => {
        const answer = await get('/pre/app.js', accept === null ? {} : { fields: [['accept-encoding', accept]] })
        assert.equal(answer.field('vary'), 'accept-encoding')
        assert.equal(answer.field('content-type'), 'text/javascript; charset=utf-8')
        return [answer.field('content-encoding'), answer.body]
      }
      // The second time they come from memory, as does what is not there.
      for (let times = 0; times < 2; times++) {
        assert.deepEqual(await coded('gzip, deflate, br, zstd'), ['br', 'brotli bytes'])
        assert.deepEqual(await coded('gzip, zstd'), ['gzip', 'gzip bytes'])
        assert.deepEqual(await coded('br;q=0.5, gzip'), ['gzip', 'gzip bytes'])
        assert.deepEqual(await coded('zstd'), [null, 'plain()'])
        assert.deepEqual(await coded('br;q=0'), [null, 'plain()'])
        assert.deepEqual(await coded(null), [null, 'plain()'])
      }
      assert.equal((await asked('/app.js', ['accept-encoding', 'br'])).field('content-encoding'), null)
    })

    it('each coding has its tag, and ranges of its own', async () => {
      const plain = await get('/pre/app.js')
      const br = await asked('/pre/app.js', ['accept-encoding', 'br'])
      assert.notEqual(plain.field('etag'), br.field('etag'))
      const part = await asked('/pre/app.js', ['accept-encoding', 'br'], ['range', 'bytes=0-2'])
      assert.deepEqual([part.status, part.body, part.field('content-encoding')], [206, 'bro', 'br'])
      const mixed = await asked('/pre/app.js', ['range', 'bytes=0-2'], ['if-range', br.field('etag') ?? ''])
      assert.deepEqual([mixed.status, mixed.body], [200, 'plain()'])
    })

    it('compress works on files, and its weak tags are recognised', async () => {
      const answer = await asked('/squeezed/letters.txt', ['accept-encoding', 'gzip'])
      assert.equal(answer.field('content-encoding'), 'gzip')
      const etag = answer.field('etag') ?? ''
      assert.match(etag, /^W\//)
      const again = await asked('/squeezed/letters.txt', ['accept-encoding', 'gzip'], ['if-none-match', etag])
      assert.deepEqual([again.status, again.field('etag')], [304, etag])
    })

    it('the fallback is for pages, not for what a page asks for', async () => {
      const page = async (path: string, accept: string | null, method = 'GET') => {
        const fields: [string, string][] = accept === null ? [] : [['accept', accept]]
        return await get(`/spa${path}`, { method, fields })
      }
      const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'
      for (const [path, accept, status] of [
        ['/users/7', browser, 200],
        ['/users/jane.doe', browser, 200],
        ['/users/', browser, 200],
        ['/users/7', '*/*', 200],
        ['/users/7', null, 200],
        ['/assets/gone.js', '*/*', 404],
        ['/gone.png', 'image/avif,image/webp,image/*,*/*;q=0.8', 404],
        ['/api/users', 'application/json, text/plain, */*', 404],
        ['/users/7', 'text/html;q=0, application/json', 404],
      ] as const) {
        const answer = await page(path, accept)
        assert.equal(answer.status, status, `${path} ${accept}`)
        assert.equal(answer.body === '<h1>home</h1>', status === 200)
        if (status === 200) assert.equal(answer.field('vary'), 'accept')
      }
      assert.equal((await page('/users/7', browser, 'HEAD')).status, 200)
      assert.equal((await page('/users/7', browser, 'POST')).status, 405)
      assert.equal((await page('/letters.txt', browser)).body, letters)
    })

    it('listings, with every name escaped', async () => {
      const answer = await get('/list/no-index/')
      assert.equal(answer.status, 200)
      assert.equal(answer.field('content-type'), 'text/html; charset=utf-8')
      assert.match(answer.body, /<a href="\.\/%3Cb%3E\.txt">&lt;b&gt;\.txt<\/a>/)
      assert.match(answer.body, /<a href="\.\/%C3%BCmlaut\.txt">/)
      assert.match(answer.body, /<a href="\.\.\/">/)
      assert.doesNotMatch(answer.body, /hidden/)
      assert.match((await get('/list/docs/')).body, /docs/)
      assert.equal((await get('/list/letters.txt/')).status, 404)
      assert.equal((await get('/list/docs')).status, 308)
    })

    it('a missing file is an error of the gateway, with its page', async () => {
      const answer = await get('/paged/none')
      assert.deepEqual([answer.status, answer.body], [404, '<h1>home</h1>'])
      const record = await gateway.logged(({ path }) => path === '/paged/none')
      assert.equal(record['error'], 'FILE_NOT_FOUND')
    })
  })
}
