/**
 * What a live stream is to every room: the signed record that describes it, the signed rolling index of each of its
 * renditions, and the views through which delivery and feeds read them. The same views stand over a stream that is
 * published here and over one that is replicated from another peer.
 */
import type { Digest } from './digest.ts'

/** The stream's Ed25519 public key as a libp2p-key CIDv1 in base36: `k51…`. */
export type StreamId = string

/** Names that a rendition may have: the same in URLs, records and files. */
export const RENDITION_NAME = /^[a-z0-9-]{1,32}$/

/** Language tags (BCP 47) as far as their letters go; nothing that could break out of a playlist's attribute or a file's name. */
export const LANGUAGE_TAG = /^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}$/

/** One rendition as players must know it before they load it. */
export interface RenditionInfo {
  /**
   * URL-safe name, unique in the stream: `source` (video as published), `1080p` and its like (transcoded), `audio`, `audio-2`
   * (more tracks), `audio-aac` (transcoded), `captions-en`. See {@link RENDITION_NAME}.
   */
  readonly name: string
  /** `captions`: WebVTT, a file a segment, without an init segment. */
  readonly kind: 'video' | 'audio' | 'captions'
  /** RFC 6381; `wvtt` for captions. */
  readonly codecs: string
  /** Bits a second, measured peak where known, else declared. */
  readonly bandwidthBps: number
  /** Pixels; 0 for audio. */
  readonly width: number
  readonly height: number
  /** Pictures a second; 0 when unknown or audio. */
  readonly frameRate: number
  /** Audio channels; 0 for video. */
  readonly channels: number
  /** Transfer function of the pictures, as HLS names it; absent for SDR. */
  readonly videoRange?: 'PQ' | 'HLG'
  /** Language of sound or captions where it is known, see {@link LANGUAGE_TAG}. */
  readonly language?: string
  /** Name for people where one was given: `Commentary`. Up to 64 characters. */
  readonly label?: string
  /** True when pictures carry CEA-608 captions (channel CC1) in their bitstream. */
  readonly closedCaptions?: boolean
}

/** Proof of who came later to own a stream, from the tracker of the region: ordered by term, then index. */
export interface FencingToken {
  readonly term: number
  readonly index: number
}

/** The stream record: small, signed by the stream's key, replaced by a higher `sequence` of the same peer or a larger token of another. */
export interface StreamRecord {
  readonly id: StreamId
  /** Readable name, `[a-z0-9][a-z0-9-]{0,63}`; a convenience, not unique in the network. */
  readonly alias: string
  readonly title: string
  readonly state: 'live' | 'ended'
  /** Grows with every change and refresh; wall milliseconds at signing, made strictly increasing. */
  readonly sequence: number
  readonly renditions: readonly RenditionInfo[]
  /** Peer id (base58) where the publisher's ingest is. */
  readonly originPeer: string
  /** Of the lease with which that peer owns the stream; absent where no region has decided it. */
  readonly token?: FencingToken
  /** Wall milliseconds when the current session began. */
  readonly startedAtMs: number
  /** Wall milliseconds after which the record is forgotten unless refreshed. */
  readonly expiresAtMs: number
}

/** One part in a rendition's rolling index. Times are in whole microseconds. */
export interface IndexEntry {
  /** Media sequence number of the segment (RFC 8216 4.3.3.2). Grows for the life of the stream, over restarts too. */
  readonly msn: number
  /** Part number in its segment, from 0. */
  readonly part: number
  /** SHA-256 of the part. */
  readonly digest: Digest
  readonly bytes: number
  readonly durationUs: number
  /** True when the part begins with a picture from which decoding can start; always for audio. */
  readonly independent: boolean
  /** True for the last part of its segment. */
  readonly endOfSegment: boolean
  /** On the last part only: SHA-256 of the whole segment, which is its parts one after the other. */
  readonly segmentDigest: Digest | undefined
  /** On part 0 only: wall time of its first presentation, Unix milliseconds, from the source's clock. */
  readonly programDateTimeMs: number | undefined
  /** On part 0 only: true when timestamps or codec configuration do not continue from the segment before. */
  readonly discontinuity: boolean
  /** SHA-256 of the init segment that this part needs. */
  readonly initDigest: Digest
}

/** What holds for the whole window, signed with it. */
export interface IndexHead {
  readonly rendition: string
  /** First segment still in the window. */
  readonly firstMsn: number
  /** Discontinuities that have left the window (RFC 8216 4.3.3.3). */
  readonly discontinuitySequence: number
  /** EXT-X-TARGETDURATION, whole seconds; only grows within a session. */
  readonly targetDurationS: number
  /**
   * What the publisher cuts parts to, microseconds. A picture that stays longer makes a longer part, so whoever declares a
   * greatest duration (PART-TARGET) looks at the entries too.
   */
  readonly partTargetUs: number
  /** True when the publisher has ended: EXT-X-ENDLIST. */
  readonly ended: boolean
}

/** Where a rendition's replication stands, for players and pages. */
export type UpstreamStatus =
  /** Published at this peer. */
  | 'origin'
  /** Looking for a provider, or resuming from another. */
  | 'connecting'
  /** Parts arrive. */
  | 'following'
  /** No provider answers; trying goes on. */
  | 'lost'

/** One rendition's index as it is now, and the way to wait for what comes next. */
export interface LiveRendition {
  readonly info: RenditionInfo
  readonly head: IndexHead
  /** Entries of the window in order of (msn, part). Treat as read-only; the array is replaced or appended to as parts come. */
  readonly entries: readonly IndexEntry[]
  /** Grows by one with every change of head or entries; lets a rendered playlist be kept until it is stale. */
  readonly version: number
  /** The publisher's Ed25519 signature of the window as it is now. */
  readonly signature: Uint8Array
  /** The entry of a part in the window. */
  entry(msn: number, part: number): IndexEntry | undefined
  /** The entries of a segment in the window, in order; empty when it is not there. */
  segment(msn: number): readonly IndexEntry[]
  /**
   * Resolves when the part (or, with `part` undefined, the whole segment) is in the window, or the rendition has ended
   * or the segment it names was closed with fewer parts and a later one exists.
   * @throws KairoError `ERR_TIMEOUT` when the signal fires, `ERR_NO_PROVIDER` when the upstream is lost,
   * `ERR_LIMIT` when too many already wait.
   */
  wait(
    msn: number,
    part: number | undefined,
    options: { readonly signal: AbortSignal },
  ): Promise<void>
}

/** A stream that this peer can serve now. */
export interface LiveStream {
  readonly record: StreamRecord
  readonly status: UpstreamStatus
  /** Peer id (base58) that this peer receives the stream from; its own id for a stream published here; undefined while connecting. */
  readonly sourcePeer: string | undefined
  /** Renditions whose index this peer holds; subscribes those a replica does not follow yet. */
  rendition(name: string, options: { readonly signal: AbortSignal }): Promise<LiveRendition>
  /** Renditions already followed, without subscribing. */
  followed(): readonly LiveRendition[]
  /** The bytes of an object of this stream if they are in RAM. */
  peek(digest: Digest): Buffer | undefined
  /**
   * The bytes of an object of this stream, from RAM, disk or a provider, verified.
   * @throws KairoError `ERR_TIMEOUT`, `ERR_NO_PROVIDER`, `ERR_VERIFICATION`.
   */
  read(digest: Digest, options: { readonly signal: AbortSignal }): Promise<Buffer>
}

/** Finds streams by name for whoever serves viewers. */
export interface StreamSource {
  /** The stream's view if this peer publishes or already replicates it, without waiting. */
  get(name: string): LiveStream | undefined
  /**
   * Opens a stream by alias or id, replicating it if another peer has it. Marks it as watched.
   * @throws KairoError `ERR_NOT_FOUND` for a name that no record known here carries, `ERR_NO_PROVIDER`, `ERR_TIMEOUT`.
   */
  open(name: string, options: { readonly signal: AbortSignal }): Promise<LiveStream>
  /** Notes that a viewer asked for something, so that a replica stays while it is watched. */
  touch(name: string): void
}
