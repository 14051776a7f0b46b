/** Chunks between their form on the data channel and their fields; mesh-messages.ts has the layout. */
import { protocolLimits as limits } from './limits.ts'
import type { Chunk } from './mesh-messages.ts'
import { ProtocolError } from './protocol-error.ts'

/** Bytes before those of the part. */
const headerBytes = 8

/** One message of the channel. The bytes are copied. */
export function writeChunk({ no, offset, bytes }: Chunk): ArrayBuffer {
  const message = new Uint8Array(headerBytes + bytes.length)
  const header = new DataView(message.buffer)
  header.setUint32(0, no)
  header.setUint32(4, offset)
  message.set(bytes, headerBytes)
  return message.buffer
}

/**
 * The chunk that came in one message, as a view of it.
 * @param data what the channel's event carries, with `binaryType` `arraybuffer`
 * @throws ProtocolError for anything that a correct page would not send
 */
export function readChunk(data: unknown): Chunk {
  if (!(data instanceof ArrayBuffer)) throw new ProtocolError('a chunk is binary')
  const length = data.byteLength - headerBytes
  if (length < 1 || length > limits.chunkBytesMax) throw new ProtocolError('bad chunk size')
  const header = new DataView(data)
  const offset = header.getUint32(4)
  if (offset + length > limits.partBytesMax) throw new ProtocolError('bad chunk offset')
  return { no: header.getUint32(0), offset, bytes: new Uint8Array(data, headerBytes) }
}
