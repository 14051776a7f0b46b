/**
 * What the rooms that stand beside the packager see of a publisher at work: the transcoder, restreaming, the relay and
 * webhooks all listen to a session in the same way, and the transcoder adds renditions to it.
 *
 * Times here are 1/90000 s on the stream's own timeline, the one that parts are written on: it grows across a publisher's
 * timestamp jumps and reconnections, so a listener never sees it go back within a session.
 */
import type { AccessUnit, TrackConfig } from './access-unit.ts'
import type { PublishProtocol } from './sink.ts'

/** Where a segment begins, the same in every rendition. */
export interface SegmentCut {
  /** First presentation of the segment, 1/90000 s of the stream's timeline. */
  readonly time: number
  /** Media sequence number. */
  readonly msn: number
  readonly discontinuity: boolean
  /** Wall time of `time`, Unix milliseconds. */
  readonly wallMs: number
}

/** Hears what a publisher sends, as it is packaged; each leaves out what it does not need. Calls come in order and must return at once. */
export interface SessionListener {
  /** A track's configuration, before its first unit and again at each change. */
  configured?(config: TrackConfig): void
  /**
   * A unit, its times on the stream's timeline. `cut` is there when the unit opens a segment (only units of the track that leads
   * the cuts carry one: video, else audio). The bytes must not be changed; they may be kept.
   */
  unit?(unit: AccessUnit, cut: SegmentCut | undefined): void
  /** The session is over; nothing follows. */
  ended?(reason: string): void
}

/** A rendition made out of the publisher's, for example a transcoded rung. */
export interface DerivedRendition {
  readonly name: string
  /**
   * Sets or changes the configuration, and says that an encoder begins anew. A changed one takes effect with the next segment, under
   * another init segment but without a discontinuity: players count those alike in all renditions (RFC 8216 6.2.4).
   */
  configure(config: TrackConfig): void
  /**
   * Takes a unit on the stream's timeline, in decoding order. Segments begin where the source's did: at the first keyframe
   * that is not before a cut. Units that lie before what is already published are dropped, so that a new encoder may begin
   * again at an earlier keyframe; one that begins after a gap leaves a short segment behind, never a wrong time.
   */
  write(unit: AccessUnit): void
  /** End of the newest unit taken, 1/90000 s; undefined before the first. */
  readonly position: number | undefined
  /** Takes the rendition off the stream: players that follow it are told that it is gone, and go to another. */
  remove(): void
}

/** How a derived rendition is announced, before its configuration is known. */
export interface DerivedInit {
  /** `[a-z0-9-]{1,32}`, unique in the stream. */
  readonly name: string
  readonly kind: 'video' | 'audio'
  /** Declared bit rate, until parts are measured. */
  readonly bandwidthBps: number
  readonly language?: string
  readonly label?: string
}

/** One live caption. */
export interface CaptionCue {
  /** Milliseconds of the stream's timeline, or Unix milliseconds. */
  readonly startMs: number
  /** After `startMs`; a cue lasts at most `captionLimits.liveCueMsMax`. */
  readonly endMs: number
  /** WebVTT cue text, one or several lines. */
  readonly text: string
  /** Identifies the cue; optional. */
  readonly id?: string
  /** WebVTT cue settings: `line:0 align:start`. */
  readonly settings?: string
}

/** Live captions of one language, a WebVTT rendition with the source's segments. */
export interface CaptionTrack {
  /** `captions-en`. */
  readonly name: string
  /**
   * Adds cues, all or none. Those that come after their segment has ended go into the next one; after the session they are lost.
   * @throws KairoError `ERR_INVALID_INPUT`, `ERR_LIMIT` for a cue that WebVTT cannot hold.
   */
  addCues(cues: readonly CaptionCue[], clock?: 'media' | 'wall'): void
  /** Takes the captions off the stream. */
  remove(): void
}

/** One publisher at work. */
export interface PublishedSession {
  readonly streamName: string
  readonly streamId: string
  readonly protocol: PublishProtocol
  /** Address of the publisher. */
  readonly remote: string
  /** Wall milliseconds. */
  readonly sinceMs: number
  /** Begins to listen; the configurations known so far are told at once. Returns the function that ends it. */
  listen(listener: SessionListener): () => void
  /**
   * Adds a rendition; it appears in playlists with its first part.
   * @throws KairoError `ERR_NAME_TAKEN`, `ERR_LIMIT` when the stream has `contentLimits.renditionsMax` of them.
   */
  derive(init: DerivedInit): DerivedRendition
  /**
   * Adds captions in a BCP 47 language, named `label` for people; they appear in playlists with the next whole segment.
   * @throws KairoError `ERR_NAME_TAKEN` when the stream has captions in that language, `ERR_INVALID_INPUT`, `ERR_LIMIT`.
   */
  captions(language: string, label: string): CaptionTrack
}

/** Is told of publishers as they come and go; observers are called in the order of the wiring. */
export interface SessionObserver {
  /** A publisher was admitted; its tracks are not known yet. */
  sessionStarted(session: PublishedSession): void
  /** The stream has ended for good: its grace time has passed without a publisher. */
  streamEnded?(streamName: string): void
}
