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
    const details = { segment, streamType, downloadSource: 'http', peerId: undefined } as const
    const { type } = outcome
    if (type === 'start') this.#listeners.tell('onSegmentStart', details)
    else if (type === 'abort') this.#listeners.tell('onSegmentAbort', details)
    else if (type === 'error') {
      const error = new Error(`${outcome.status} ${outcome.text}`)
      this.#listeners.tell('onSegmentError', { ...details, error })
    } else {
      const { bytes, httpBytes, peerBytes } = outcome.arrival
      this.#listeners.tell('onSegmentLoaded', {
        ...{ ...details, httpBytes, peerBytes, segmentUrl: segment.url, bytesLength: bytes.length },
        downloadSource: peerBytes > httpBytes ? 'p2p' : 'http',
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
