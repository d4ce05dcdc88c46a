/**
 * The content codings, as the zlib of both runtimes has them: of whole bodies at once, and of streams. Windows are small,
 * so that what an encoder takes is bounded: measured on Bun 1.4.5 and Node 26 as resident memory of 100 of each.
 */
import {
  type BrotliCompress,
  brotliCompressSync,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  constants as flags,
  type Gzip,
  gzipSync,
  type ZstdCompress,
  zstdCompressSync,
} from 'node:zlib'
import { quickCodecs } from '../../base/runtime.ts'

export const codings = ['zstd', 'br', 'gzip'] as const
export type Coding = (typeof codings)[number]
export type Encoder = Gzip | BrotliCompress | ZstdCompress

type Codec = {
  /** @param level null where none is configured */
  readonly whole: (bytes: Buffer, level: number | null) => Uint8Array
  readonly stream: (level: number | null) => Encoder
  /** Makes what was written so far readable for the client */
  readonly flushWith: number
  /** What a stream takes, in bytes */
  readonly cost: number
}

const windowLog = 18
const brotli = (level: number, sizeHint: number) => ({
  params: {
    [flags.BROTLI_PARAM_QUALITY]: level,
    [flags.BROTLI_PARAM_LGWIN]: windowLog,
    [flags.BROTLI_PARAM_SIZE_HINT]: sizeHint,
  },
})
const zstd = (level: number) => ({
  params: { [flags.ZSTD_c_compressionLevel]: level, [flags.ZSTD_c_windowLog]: windowLog },
})

const zstdWhole = quickCodecs?.zstd ?? ((bytes, level) => zstdCompressSync(bytes, zstd(level)))
const gzipWhole = quickCodecs?.gzip ?? ((bytes, level) => gzipSync(bytes, { level }))
/** The first level of libdeflate is the fastest, and that of zlib is not */
const gzipLevel = quickCodecs === null ? 2 : 1

export const codecs: Readonly<Record<Coding, Codec>> = {
  zstd: {
    whole: (bytes, level) => zstdWhole(bytes, level ?? 1),
    stream: () => createZstdCompress(zstd(1)),
    flushWith: flags.ZSTD_e_flush,
    cost: 700_000,
  },
  br: {
    whole: (bytes, level) => brotliCompressSync(bytes, brotli(level ?? 3, bytes.length)),
    stream: level => createBrotliCompress(brotli(Math.min(level ?? 3, 3), 0)),
    flushWith: flags.BROTLI_OPERATION_FLUSH,
    cost: 700_000,
  },
  gzip: {
    whole: (bytes, level) => gzipWhole(bytes, level ?? gzipLevel),
    stream: level => createGzip({ level: level ?? 2 }),
    flushWith: flags.Z_SYNC_FLUSH,
    cost: 420_000,
  },
}
