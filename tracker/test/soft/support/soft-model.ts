/** The soft state as plain maps and sets, and batches for both it and the real one. */

import { ByteWriter } from '../../../src/bytes/byte-writer.ts'
import {
  type BatchHead,
  type RecordToWrite,
  writeBatchHead,
  writeGone,
  writeRecord,
} from '../../../src/soft/batch.ts'
import type { Holding, PartWindow } from '../../../src/soft/holding.ts'

/** One record: a number that is gone, or what it stands for. */
export type ModelRecord =
  | { readonly id: number; readonly gone: true }
  | (RecordToWrite & { readonly gone?: never })

/** A batch as bytes. */
export function batchBytes(
  head: Partial<BatchHead> & Pick<BatchHead, 'sequence'>,
  records: readonly ModelRecord[] = [],
): Uint8Array {
  const writer = new ByteWriter(16)
  const base = { session: 7, term: 1, isGoodbye: false, load: undefined }
  const isAll = head.isAll ?? head.sequence === 1
  const after = isAll ? 0 : head.sequence - 1
  writeBatchHead(writer, { ...base, after, isAll, ...head })
  for (const record of records) {
    if (record.gone === true) writeGone(writer, record.id)
    else writeRecord(writer, record)
  }
  return writer.take()
}

/** A record that names a subject. */
export function named(
  id: number,
  stream: string,
  rendition: string,
  holding: Partial<Holding> = {},
  wants = 0,
): ModelRecord {
  const whole = { viewers: 0, window: undefined, ranges: [], ...holding }
  return { id, name: { stream, rendition }, holding: whole, wants }
}

/** Parts as a window. */
export function windowOf(
  firstSegment: number,
  partsPerSegment: number,
  parts: readonly (readonly [segment: number, part: number])[],
): PartWindow {
  const bits: number[] = []
  for (const [segment, part] of parts) {
    const bit = (segment - firstSegment) * partsPerSegment + part
    while (bits.length <= bit >>> 3) bits.push(0)
    bits[bit >>> 3] = (bits[bit >>> 3] as number) | (1 << (bit & 7))
  }
  return { firstSegment, partsPerSegment, bits: Uint8Array.from(bits) }
}

/** What a peer of the model holds of a subject. */
export interface ModelEntry {
  readonly stream: string
  readonly rendition: string
  holding: Holding
}

interface ModelPeer {
  readonly entries: Map<number, ModelEntry>
  seenMs: number
}

/** Peers by id, each with its entries by number. */
export class SoftModel {
  readonly peers = new Map<string, ModelPeer>()

  /** A batch that is known to be taken. */
  take(peerId: string, isAll: boolean, records: readonly ModelRecord[], nowMs: number): void {
    const known = this.peers.get(peerId)
    const peer = known === undefined || isAll ? { entries: new Map(), seenMs: nowMs } : known
    peer.seenMs = nowMs
    this.peers.set(peerId, peer)
    for (const record of records) {
      if (record.gone === true) {
        peer.entries.delete(record.id)
      } else if (record.name !== undefined) {
        const holding = record.holding as Holding
        const { stream, rendition } = record.name
        for (const [id, entry] of peer.entries) {
          if (entry.stream === stream && entry.rendition === rendition) peer.entries.delete(id)
        }
        peer.entries.set(record.id, { ...record.name, holding })
      } else {
        const entry = peer.entries.get(record.id)
        if (entry !== undefined && record.holding !== undefined) entry.holding = record.holding
      }
    }
  }

  /** Entries of a subject, with who holds them. */
  holders(stream: string, rendition: string): [peerId: string, holding: Holding][] {
    return [...this.peers].flatMap(([peerId, { entries }]) =>
      [...entries.values()]
        .filter((entry) => entry.stream === stream && entry.rendition === rendition)
        .map(({ holding }): [string, Holding] => [peerId, holding]),
    )
  }

  /** Forgets who was not heard in a whole time to live. */
  expire(nowMs: number, ttlMs: number): void {
    for (const [peerId, { seenMs }] of this.peers) {
      if (nowMs - seenMs > ttlMs) this.peers.delete(peerId)
    }
  }
}

/** Whether a holding has a part. */
export function hasPart({ window, ranges }: Holding, segment: number, part: number): boolean {
  if (hasSegments(ranges, segment, 1)) return true
  if (window === undefined || part >= window.partsPerSegment || segment < window.firstSegment) {
    return false
  }
  const bit = (segment - window.firstSegment) * window.partsPerSegment + part
  return (((window.bits[bit >>> 3] ?? 0) >>> (bit & 7)) & 1) === 1
}

/** Whether ranges have whole segments in a row. */
export function hasSegments(ranges: Holding['ranges'], first: number, count: number): boolean {
  return ranges.some((range) => range.first <= first && first + count <= range.first + range.count)
}
