/**
 * What two pages tell each other over their data channels: `control` (ordered, reliable; JSON, one message each) and `chunks` (unordered,
 * reliable; binary). docs/protocol/swarm.md is the wire.
 */
import type { PartKey } from './part-key.ts'

/** What the sender holds, or is about to: told to all neighbours when a part begins to come, and when it is whole and verified. */
export interface Have {
  readonly kind: 'have'
  readonly parts: readonly {
    readonly key: PartKey
    /** Of the whole part; absent while it is not known. */
    readonly bytes?: number
    readonly isWhole: boolean
  }[]
}

/** The sender has let these go, or what was coming does not come. */
export interface Lost {
  readonly kind: 'lost'
  readonly keys: readonly PartKey[]
}

/** Asks for a part from a byte on, as its bytes come in. */
export interface Ask {
  readonly kind: 'ask'
  /** The asker's number for it, to name it in short; not used for another part while the first is under way. */
  readonly no: number
  readonly key: PartKey
  readonly from: number
  /** First byte that is not wanted; absent: to the end. */
  readonly to?: number
}

/** An answer is wanted no more; also stops a push. */
export interface Cancel {
  readonly kind: 'cancel'
  readonly no: number
}

/** A part comes unasked, along a tree. The number is the sender's, from 2^31 on. */
export interface Push {
  readonly kind: 'push'
  readonly no: number
  readonly key: PartKey
}

/** All that can be sent of an ask or push was sent; says how long the part is where that is known. `isCut`: not all of it was. */
export interface End {
  readonly kind: 'end'
  readonly no: number
  readonly bytes?: number
  readonly isCut: boolean
}

/** Keeps the connection, and measures it. */
export interface Ping {
  readonly kind: 'ping' | 'pong'
  readonly no: number
}

/** A control message. */
export type MeshMessage = Have | Lost | Ask | Cancel | Push | End | Ping

/** Some bytes of a part: header of 8 bytes (number, offset; both unsigned 32 bits, big endian), then the bytes. */
export interface Chunk {
  readonly no: number
  readonly offset: number
  readonly bytes: Uint8Array
}

/** The first number of pushes. */
export const firstPushNo = 0x8000_0000
