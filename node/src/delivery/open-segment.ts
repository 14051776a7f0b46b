/**
 * A segment that is still being made, as one answer: its parts go out as they come, so that DASH players and plain HTTP
 * clients are as near to the live edge as those that ask for parts. Nothing is copied and nothing queued; what the client has not
 * taken yet is not asked for.
 */
import type { Clock } from '../clock.ts'
import type { Digest } from '../content/digest.ts'
import { KairoError } from '../errors.ts'
import type { PreparedResponse } from '../http/prepared-response.ts'
import type { ObjectContext } from './media-objects.ts'
import { mediaType } from './media-objects.ts'
import { RequestScope } from './request-scope.ts'
import { immutableHeaders } from './responses.ts'
import { reaches } from './segments.ts'

/** How an open segment waits. */
export interface OpenSegmentInit {
  readonly clock: Clock
  /** Longest time to find the bytes of one part, milliseconds. */
  readonly readTimeoutMs: number
  /** Waits for a part; false when it did not come in time. Throws as {@link BlockedRequests.wait} does. */
  readonly waitFor: (part: number) => Promise<boolean>
  /** Is told the bytes of each part that is handed on. */
  readonly sent: (bytes: number) => void
}

/** The answer for a segment whose first part is there. It has no digest yet; where it ends early, its connection is cut. */
export function openSegment(
  context: ObjectContext,
  msn: number,
  init: OpenSegmentInit,
): PreparedResponse {
  const headers = immutableHeaders(mediaType(context.rendition), undefined)
  return { status: 200, headers, body: [], stream: partsOf(context, msn, init) }
}

async function* partsOf(
  context: ObjectContext,
  msn: number,
  init: OpenSegmentInit,
): AsyncGenerator<Uint8Array> {
  const { rendition } = context
  for (let part = 0; ; part += 1) {
    if (rendition.entry(msn, part) === undefined && !reaches(rendition, msn, undefined)) {
      const came = await init.waitFor(part)
      if (!came) throw new KairoError('ERR_TIMEOUT', 'the next part did not come in time')
    }
    const entry = rendition.entry(msn, part)
    if (entry === undefined) {
      if (rendition.head.firstMsn <= msn) return
      throw new KairoError('ERR_NOT_FOUND', 'the segment left the window while it was read')
    }
    const bytes = await bytesOf(context, entry.digest, init)
    init.sent(bytes.byteLength)
    yield bytes
    if (entry.endOfSegment) return
  }
}

async function bytesOf(
  { stream, scope }: ObjectContext,
  digest: Digest,
  init: OpenSegmentInit,
): Promise<Buffer> {
  const inMemory = stream.peek(digest)
  if (inMemory !== undefined) return inMemory
  // The request's own scope has ended with its head.
  const reading = new RequestScope(init.clock, scope.clientSignal, init.readTimeoutMs)
  try {
    return await stream.read(digest, { signal: reading.signal })
  } finally {
    reading.close()
  }
}
