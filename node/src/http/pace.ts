/**
 * Ends transfers that do not move. An idle time alone is no bound, since a client may send one byte in each; so what counts
 * is bytes in a window, and only while it is the client's turn.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../clock.ts'
import { streamRouteLimits } from '../limits/upload.ts'

/** One transfer. */
export interface PacedTransfer {
  readonly message: IncomingMessage
  readonly reply: ServerResponse
}

/**
 * Watches a transfer until the returned function is called.
 * @param onEnd called once: the client is `too-slow`, or the handler does nothing (`handler-timeout`).
 */
export function watchPace(
  clock: Clock,
  { message, reply }: PacedTransfer,
  onEnd: (reason: 'too-slow' | 'handler-timeout') => void,
): () => void {
  const { socket } = message
  // What waits in our own buffers has not reached the client.
  const moved = (): number => socket.bytesRead + socket.bytesWritten - socket.writableLength
  let before = moved()
  let idleWindows = 0
  const look = (): void => {
    const now = moved()
    const bytes = now - before
    before = now
    idleWindows = bytes > 0 ? 0 : idleWindows + 1
    if (bytes < streamRouteLimits.paceBytesMin && isClientsTurn(message, reply)) {
      onEnd('too-slow')
    } else if (idleWindows >= streamRouteLimits.handlerWindowsMax) {
      onEnd('handler-timeout')
    } else {
      cancel = clock.after(streamRouteLimits.paceWindowMs, look)
    }
  }
  let cancel = clock.after(streamRouteLimits.paceWindowMs, look)
  return () => cancel()
}

/** True while we wait for bytes that the client has not sent, or for it to take ours. */
function isClientsTurn(message: IncomingMessage, reply: ServerResponse): boolean {
  const awaitsBody = !message.complete && message.readableLength === 0
  return awaitsBody || (reply.socket?.writableLength ?? 0) > 0
}
