/** Reads a request's body whole, for streaming routes whose bodies are small files and no JSON. */
import type { Readable } from 'node:stream'
import { KairoError } from '../errors.ts'

/**
 * The body.
 * @throws KairoError `ERR_TOO_LARGE` beyond `bytesMax`; the rest of the body is then left unread.
 */
export async function readBody(body: Readable, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  // Destroying the stream would take the connection with it, and the answer.
  for await (const chunk of body.iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).byteLength
    if (bytes > bytesMax) {
      throw new KairoError('ERR_TOO_LARGE', `this takes at most ${bytesMax} bytes`)
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}
