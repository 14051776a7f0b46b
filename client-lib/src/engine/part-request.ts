/** What a player asks the engine for, and how it is answered. */
import type { PartKey } from '../protocol/part-key.ts'

/** A part and where HTTP has it. */
export interface PartSource {
  readonly key: PartKey
  readonly url: string
  /** The part lies in a range of what is at the URL; `to` is the first byte behind it. Absent: all of it. */
  readonly range?: { readonly from: number; readonly to: number }
}

/** A wish of the player. */
export interface PartRequest extends PartSource {
  /** The engine's clock; when the buffer is in danger without it. */
  readonly deadlineMs: number
  /** Nothing to play yet, or nearly. */
  readonly isUrgent: boolean
}

/** How a part came. */
export interface PartArrival {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly httpBytes: number
  readonly peerBytes: number
  /** When the first byte came, and the last one; the engine's clock. Both may lie before the request. */
  readonly firstMs: number
  readonly lastMs: number
  /** What is believed of the way that it came: bits a second while bytes flowed. For the player's choice of a level. */
  readonly bps: number
}

/** Who is told of it; exactly one of them is called, once, unless it was cancelled. */
export interface PartCallbacks {
  readonly onArrival: (arrival: PartArrival) => void
  /** @param status of HTTP; 0: there was no answer */
  readonly onFailure: (status: number, text: string) => void
}

/** What the hls.js side needs of an engine. */
export interface PartEngine {
  /** Asks for a part. Returns what cancels it. */
  load(request: PartRequest, callbacks: PartCallbacks): () => void
  /** The deadline of what was asked for has moved. */
  hasten(key: PartKey, deadlineMs: number, isUrgent: boolean): void
  /** Live parts that the playlist lists now and did not before, oldest first. */
  published(parts: readonly PartSource[]): void
  /** What plays: the rendition, whether it is live at its edge, and a part's duration there; undefined when nothing does. */
  playing(now: Playing | undefined): void
}

/** What plays. */
export interface Playing {
  readonly rendition: string
  readonly sequence: number
  readonly isLive: boolean
  /** Of a part, or segment where there are none. */
  readonly partMs: number
}
