/** A body that is sent while it is made: in the chunks of HTTP/1.1 (RFC 9112 7.1), or bare where its length was told. */
import { once } from 'node:events'
import type { Socket } from 'node:net'

/** How a streamed body is sent. */
export interface ChunkedOptions {
  /** False when the head told the length: the bytes then stand for themselves. */
  readonly chunked: boolean
  /** Fires when the client is gone or has taken too long. */
  readonly signal: AbortSignal
  /** Called with the bytes of each piece as it is handed to the socket, and with 0 when the client has taken it. */
  readonly progress: (bytes: number) => void
}

/**
 * Writes the pieces, as chunks with the last chunk when there are no more. Beyond what the socket buffers it takes no piece
 * before the client has read the one before, so a slow client costs the memory of one piece.
 * @throws what the stream throws, and the signal's reason; the last chunk is then missing.
 */
export async function writeChunked(
  socket: Socket,
  stream: AsyncIterable<Uint8Array>,
  options: ChunkedOptions,
): Promise<void> {
  const { chunked, signal, progress } = options
  for await (const piece of stream) {
    signal.throwIfAborted()
    // A chunk of no bytes would be the last one.
    if (piece.byteLength === 0) continue
    if (chunked) {
      socket.cork()
      socket.write(`${piece.byteLength.toString(16)}\r\n`)
      socket.write(piece)
      socket.write('\r\n')
      socket.uncork()
    } else {
      socket.write(piece)
    }
    progress(piece.byteLength)
    if (!socket.writableNeedDrain) continue
    await once(socket, 'drain', { signal })
    progress(0)
  }
  signal.throwIfAborted()
  if (chunked) socket.write('0\r\n\r\n')
}
