/** A body that has to be whole before anything is done with it. */
import { KairoError } from '../../errors.ts'

/**
 * All bytes, of which there must be exactly `length`.
 * @throws KairoError `ERR_PROTOCOL` for more or fewer; what the body throws.
 */
export async function collect(body: AsyncIterable<Uint8Array>, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  let at = 0
  for await (const chunk of body) {
    if (at + chunk.byteLength > length) throw new KairoError('ERR_PROTOCOL', 'more than announced')
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  if (at !== length) throw new KairoError('ERR_PROTOCOL', 'less than announced')
  return bytes
}
