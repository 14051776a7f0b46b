/** What loads of the player are to the page's listeners. */
import type { FragmentLoaderContext } from 'hls.js'
import type { Listeners, Segment, StreamType } from './page-events.ts'
import type { LoadOutcome } from './part-loader.ts'

/** Tells a page of its player's loads. */
export class SegmentEvents {
  readonly #listeners: Listeners

  constructor(listeners: Listeners) {
    this.#listeners = listeners
  }

  tell(context: FragmentLoaderContext, outcome: LoadOutcome): void {
    const segment = segmentOf(context)
    const streamType: StreamType = context.frag.type === 'main' ? 'main' : 'secondary'
    const peerId = undefined
    if (outcome.type === 'start') {
      this.#listeners.tell('onSegmentStart', { segment, downloadSource: 'http', peerId })
    } else if (outcome.type === 'abort') {
      const details = { segment, downloadSource: undefined, peerId, streamType }
      this.#listeners.tell('onSegmentAbort', details)
    } else if (outcome.type === 'error') {
      const error = new Error(`${outcome.status} ${outcome.text}`)
      const details = { error, segment, downloadSource: 'http', peerId, streamType } as const
      this.#listeners.tell('onSegmentError', details)
    } else {
      const { bytes, httpBytes, peerBytes } = outcome.arrival
      this.#listeners.tell('onSegmentLoaded', {
        ...{ segmentUrl: segment.url, bytesLength: bytes.length, httpBytes, peerBytes },
        ...{ downloadSource: peerBytes > httpBytes ? 'p2p' : 'http', peerId, streamType },
      })
    }
  }
}

function segmentOf({ frag, part, url, rangeStart, rangeEnd }: FragmentLoaderContext): Segment {
  const { start, end } = part ?? frag
  const byteRange = rangeEnd ? { start: rangeStart ?? 0, end: rangeEnd - 1 } : undefined
  return {
    runtimeId: byteRange ? `${url}|${byteRange.start}-${byteRange.end}` : url,
    externalId: Number(frag.sn),
    url,
    ...(byteRange && { byteRange }),
    startTime: start,
    endTime: end,
  }
}
