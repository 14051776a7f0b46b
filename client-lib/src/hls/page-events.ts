/** What a page can listen to. Names and arguments are those of p2p-media-loader 2.3.1; docs/migrating.md says where the meaning is another. */

/** `main`: what a variant points to; `secondary`: sound of its own. */
export type StreamType = 'main' | 'secondary'

/** Who brought bytes: the origin (or its CDN), or other pages. */
export type DownloadSource = 'http' | 'p2p'

/** A segment, or a part of one, as the playlist has it. */
export interface Segment {
  /** Its URL, with the range of bytes where there is one. */
  readonly runtimeId: string
  /** Its media sequence number. */
  readonly externalId: number
  readonly url: string
  /** Both bytes included. */
  readonly byteRange?: { readonly start: number; readonly end: number }
  /** Seconds of media time. */
  readonly startTime: number
  readonly endTime: number
}

/** A load of the player. */
export interface SegmentDetails {
  readonly segment: Segment
  readonly streamType: StreamType
  /** Who brought the larger share; `http` where that is not known (yet). */
  readonly downloadSource: DownloadSource
  /** Several pages may bring some of it. */
  readonly peerId: undefined
}

/** The player has it, checked. */
export interface SegmentLoadDetails extends SegmentDetails {
  readonly segmentUrl: string
  readonly bytesLength: number
  readonly httpBytes: number
  readonly peerBytes: number
}

/** It does not come; hls.js tries again as its policy says. */
export interface SegmentErrorDetails extends SegmentDetails {
  readonly error: Error
}

/** Another page of the swarm. */
export interface PeerDetails {
  readonly peerId: string
  /** One connection carries everything. */
  readonly streamType: StreamType
}

/** The listeners by event. */
export interface PageEvents {
  /** Who will bring it is not decided yet. */
  onSegmentStart: (details: SegmentDetails) => void
  onSegmentLoaded: (details: SegmentLoadDetails) => void
  onSegmentError: (details: SegmentErrorDetails) => void
  /** The player does not want it any more. */
  onSegmentAbort: (details: SegmentDetails) => void
  onPeerConnect: (details: PeerDetails) => void
  onPeerClose: (details: PeerDetails) => void
  /** A page sent bytes that are not what they should be; its connection ends. */
  onPeerError: (details: PeerDetails & { readonly error: Error }) => void
  onChunkDownloaded: (bytes: number, source: DownloadSource, peerId?: string) => void
  /** What went to a page since the last time, told about once a second. */
  onChunkUploaded: (bytes: number, peerId: string) => void
  /** There is no swarm for this page, and why. */
  onTrackerError: (details: { readonly streamType: StreamType; readonly error: Error }) => void
}

/** The listeners of one page. */
export class Listeners {
  readonly #listeners = new Map<keyof PageEvents, Set<(...args: never[]) => void>>()

  add<Name extends keyof PageEvents>(name: Name, listener: PageEvents[Name]): void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners.add(listener))
  }

  remove<Name extends keyof PageEvents>(name: Name, listener: PageEvents[Name]): void {
    this.#listeners.get(name)?.delete(listener)
  }

  /** Tells them; what one of them throws is the page's, and is reported as if nobody had caught it. */
  tell<Name extends keyof PageEvents>(name: Name, ...args: Parameters<PageEvents[Name]>): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        ;(listener as (...args: unknown[]) => void)(...args)
      } catch (error) {
        reportError(error)
      }
    }
  }
}
