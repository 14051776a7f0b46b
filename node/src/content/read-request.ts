/** The first and only frame that a client of the feed protocol sendss: a request without payload. */
import type { DescMessage, MessageShape } from '@bufbuild/protobuf'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import type { PeerStream } from '../host/transport.ts'
import { contentLimits } from '../limits.ts'
import { FrameDecoder } from '../protocol/frame-codec.ts'

/**
 * Reads the request of a stream just opened; the stream is broken when it does not come in time.
 * @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT`, or what the stream throws when it breaks.
 */
export async function readRequest<Desc extends DescMessage>(
  stream: PeerStream,
  schema: Desc,
  clock: Clock,
): Promise<MessageShape<Desc>> {
  const decoder = new FrameDecoder(schema, () => 0, {
    headerBytesMax: contentLimits.requestBytesMax,
    payloadBytesMax: 0,
  })
  const cancel = clock.after(contentLimits.feedOpenMsMax, () => {
    stream.abort(new KairoError('ERR_TIMEOUT', 'no request came'))
  })
  try {
    // Not `for await`: leaving such a loop would end the iterator, and the stream is read on after the request.
    const chunks = stream.incoming[Symbol.asyncIterator]()
    for (;;) {
      const { done, value } = await chunks.next()
      if (done === true) throw new KairoError('ERR_PROTOCOL', 'the stream ended before a request')
      const frame = decoder.push(value).next()
      if (frame.done !== true) return frame.value.header
    }
  } finally {
    cancel()
  }
}
