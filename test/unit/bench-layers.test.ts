/** The layers of docs/where-the-time-goes.md: samples by the file their code is in, and TLS within a runtime as a difference. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { countSamples } from '../../bench/load/layers/perf.ts'
import { splitLayers, totalOf } from '../../bench/load/layers/split.ts'

const none = { kernel: 0, tlsLibrary: 0, compiled: 0, native: 0 }

describe('layers', () => {
  test('samples are counted by the file that perf names', () => {
    const text = [
      ' ffffffff816378d5 kmem_cache_alloc ([kernel.kallsyms])',
      ' ffffffff816378d5 ([guest.kernel.kallsyms])',
      '     7f0000001000 SSL_read (/usr/lib/x86_64-linux-gnu/libssl.so.3)',
      '     7f0000002000 (/usr/lib/x86_64-linux-gnu/libcrypto.so.3)',
      '     7f0000003000 [unknown] (/tmp/perf-14310.map)',
      '     7f0000004000 (//anon)',
      '          2340000 (/opt/bun)',
      '     7f0000005000 memcpy (/usr/lib/x86_64-linux-gnu/libc.so.6)',
      '     7f0000006000 ([vdso])',
      '',
    ].join('\n')
    assert.deepEqual(countSamples(text), { kernel: 2, tlsLibrary: 2, compiled: 2, native: 3 })
  })

  test('TLS within a runtime is what its native code costs more than in cleartext', () => {
    const profile = { cpuUs: 100, samples: { ...none, kernel: 20, compiled: 10, native: 70 } }
    const cleartext = { cpuUs: 40, samples: { ...none, kernel: 10, native: 10 } }
    const layers = splitLayers(profile, cleartext, true)
    assert.deepEqual(layers, { kernel: 20, tls: 50, runtime: 20, own: 10 })
    assert.equal(totalOf(layers), 100)
  })

  test('noise does not make TLS negative, and a row without TLS has none', () => {
    const profile = { cpuUs: 10, samples: { ...none, native: 10 } }
    assert.equal(splitLayers(profile, { cpuUs: 20, samples: { ...none, native: 10 } }, true).tls, 0)
    assert.deepEqual(splitLayers(profile, null, true), { kernel: 0, tls: 0, runtime: 10, own: 0 })
  })

  test('where the TLS library is a file, its samples are TLS and the rest is the proxy', () => {
    const profile = { cpuUs: 10, samples: { ...none, kernel: 5, tlsLibrary: 3, native: 2 } }
    assert.deepEqual(splitLayers(profile, null, false), { kernel: 5, tls: 3, runtime: 0, own: 2 })
  })
})
