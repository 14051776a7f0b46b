/** Content codings of the cache's own: for whole bodies, and for bodies that are on their way. */
import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import {
  brotliCompress,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  gzip,
  zstdCompress,
} from 'node:zlib'
import type { Coding } from '../cache/entry.ts'

const BROTLI_QUALITY = 5
const GZIP_LEVEL = 6

/** Encode a whole body. */
export const encoders: Readonly<Record<Coding, (bytes: Buffer) => Promise<Buffer>>> = {
  br: (bytes) =>
    promisify(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.byteLength,
      },
    }),
  gzip: (bytes) => promisify(gzip)(bytes, { level: GZIP_LEVEL }),
  zstd: (bytes) => promisify(zstdCompress)(bytes),
}

/** What has come goes out at once: a page that the origin makes bit by bit is seen bit by bit. */
const streams: Readonly<Record<Coding, () => Transform>> = {
  br: () =>
    createBrotliCompress({
      flush: constants.BROTLI_OPERATION_FLUSH,
      params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY },
    }),
  gzip: () => createGzip({ level: GZIP_LEVEL, flush: constants.Z_SYNC_FLUSH }),
  zstd: () => createZstdCompress({ flush: constants.ZSTD_e_flush }),
}

/** Encodes a body while it comes. Throws what the body throws; who stops reading stops the body. */
export async function* encoded(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  coding: Coding,
): AsyncGenerator<Uint8Array> {
  const encoder = streams[coding]()
  const written = pipeline(Readable.from(body), encoder)
  // Whoever reads the encoder hears of a failure.
  written.catch(() => {})
  try {
    for await (const bytes of encoder) yield bytes as Buffer
  } finally {
    encoder.destroy()
  }
}
