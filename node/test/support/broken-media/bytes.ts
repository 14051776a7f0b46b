/** Damage to bytes that is the same on every run: seeded flips, and edits of the containers that cases break. */
import assert from 'node:assert/strict'

/** Numbers in [0, 1) that follow from a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A copy in which one bit of `share` of the bytes is flipped; bytes before `from` and from `to` on stay as they are. */
export function flipped(
  bytes: Uint8Array,
  share: number,
  from = 0,
  to: number = bytes.byteLength,
): Buffer {
  const random = seeded(bytes.byteLength)
  const copy: Buffer = Buffer.from(bytes)
  const count = Math.max(1, Math.round((to - from) * share))
  for (let index = 0; index < count; index++) {
    const at = from + Math.floor(random() * (to - from))
    copy.writeUInt8(copy.readUInt8(at) ^ (1 << Math.floor(random() * 8)), at)
  }
  return copy
}

/** The first `share` of the bytes. */
export function cut(bytes: Buffer, share: number): Buffer {
  return bytes.subarray(0, Math.floor(bytes.byteLength * share))
}

/** A box of an MP4 file, header included. */
export interface BoxPlace {
  readonly at: number
  readonly size: number
  /** Where its content begins. */
  readonly body: number
}

/** The boxes from the file's top down to the one at `path`, for example `moov.trak.mdia`; `[2]` takes the third of that name. */
export function boxPath(file: Buffer, path: string): readonly [BoxPlace, ...BoxPlace[]] {
  const places: BoxPlace[] = []
  let from = 0
  let to = file.byteLength
  for (const step of path.split('.')) {
    const [, name = '', nth = '0'] = /^(....)(?:\[(\d+)\])?$/.exec(step) ?? []
    const place = childrenOf(file, from, to).filter((box) => nameAt(file, box) === name)[
      Number(nth)
    ]
    assert(place !== undefined, `the file has ${path}`)
    places.push(place)
    from = place.body
    to = place.at + place.size
  }
  return places as [BoxPlace, ...BoxPlace[]]
}

/** The box at `path`. */
export function boxAt(file: Buffer, path: string): BoxPlace {
  return boxPath(file, path).at(-1) as BoxPlace
}

/** A copy with `content` in place of the bytes of a box's body; the sizes above it follow. Only for boxes behind all media. */
export function withBoxBody(file: Buffer, path: string, content: Uint8Array): Buffer {
  const places = boxPath(file, path)
  const last = places.at(-1) as BoxPlace
  const end = last.at + last.size
  const growth = content.byteLength - (end - last.body)
  const copy = Buffer.concat([file.subarray(0, last.body), content, file.subarray(end)])
  for (const { at, size } of places) copy.writeUInt32BE(size + growth, at)
  return copy
}

/** A copy in which `edit` has changed the bytes of a box's body. */
export function withEdit(file: Buffer, path: string, edit: (body: Buffer) => void): Buffer {
  const copy = Buffer.from(file)
  const { at, size, body } = boxAt(copy, path)
  edit(copy.subarray(body, at + size))
  return copy
}

function childrenOf(file: Buffer, from: number, to: number): readonly BoxPlace[] {
  const boxes: BoxPlace[] = []
  for (let at = from; at + 8 <= to; ) {
    const size = file.readUInt32BE(at)
    assert(size >= 8, 'the box has a plain size')
    boxes.push({ at, size, body: at + 8 })
    at += size
  }
  return boxes
}

function nameAt(file: Buffer, { at }: BoxPlace): string {
  return file.toString('latin1', at + 4, at + 8)
}

/** A tag of an FLV file. */
export interface FlvTag {
  readonly type: number
  readonly timeMs: number
  readonly body: Buffer
}

/** FLV's types of tags. */
export const FLV_AUDIO = 8
export const FLV_VIDEO = 9
export const FLV_SCRIPT = 18

/** The tags of a whole file. */
export function flvTags(file: Buffer): readonly FlvTag[] {
  const tags: FlvTag[] = []
  for (let at = 13; at + 11 <= file.byteLength; ) {
    const bytes = file.readUIntBE(at + 1, 3)
    const timeMs = file.readUIntBE(at + 4, 3) + file.readUInt8(at + 7) * 2 ** 24
    tags.push({ type: file.readUInt8(at), timeMs, body: file.subarray(at + 11, at + 11 + bytes) })
    at += 11 + bytes + 4
  }
  return tags
}

/** A file of these tags. */
export function flvFile(tags: readonly FlvTag[]): Buffer {
  const parts: Buffer[] = [Buffer.from('464c5601050000000900000000', 'hex')]
  for (const { type, timeMs, body } of tags) {
    const head = Buffer.alloc(11)
    head.writeUInt8(type)
    head.writeUIntBE(body.byteLength, 1, 3)
    head.writeUIntBE(timeMs % 2 ** 24, 4, 3)
    head.writeUInt8(Math.floor(timeMs / 2 ** 24) & 255, 7)
    const size = Buffer.alloc(4)
    size.writeUInt32BE(11 + body.byteLength)
    parts.push(head, body, size)
  }
  return Buffer.concat(parts)
}

/** True for a tag that configures its track: an H.264 or AAC one, or one of Enhanced RTMP. */
export function isFlvConfig({ type, body }: FlvTag): boolean {
  const [first = 0, second] = body
  if (type === FLV_VIDEO) return first >= 0x80 ? (first & 15) === 0 : second === 0
  return type === FLV_AUDIO && (first >> 4 === 9 ? (first & 15) === 0 : second === 0)
}

/** A transport stream's packets. */
export function tsPackets(file: Buffer): readonly Buffer[] {
  return Array.from({ length: Math.floor(file.byteLength / 188) }, (_, index) =>
    file.subarray(index * 188, index * 188 + 188),
  )
}

/** The PID of a transport packet. */
export function pidOf(packet: Buffer): number {
  return packet.readUInt16BE(1) & 0x1fff
}

/** A copy in which `edit` was shown each PES header with the PID, where the payload of the packet begins, to change it. */
export function withPesHeaders(file: Buffer, edit: (header: Buffer, pid: number) => void): Buffer {
  const copy = Buffer.from(file)
  for (const packet of tsPackets(copy)) {
    const hasPayload = (packet.readUInt8(3) & 0x10) !== 0
    const begins = (packet.readUInt8(1) & 0x40) !== 0
    if (!hasPayload || !begins) continue
    const adaptation = (packet.readUInt8(3) & 0x20) === 0 ? 0 : 1 + packet.readUInt8(4)
    const payload = packet.subarray(4 + adaptation)
    if (payload.byteLength > 19 && payload.readUIntBE(0, 3) === 1) edit(payload, pidOf(packet))
  }
  return copy
}

/** A copy in which H.264 NAL units of these types are filler, which decoders skip; they are found by their start codes. */
export function withoutNalUnits(file: Buffer, types: readonly number[]): Buffer {
  const copy = Buffer.from(file)
  for (
    let at = copy.indexOf('000001', 0, 'hex');
    at >= 0;
    at = copy.indexOf('000001', at + 3, 'hex')
  ) {
    const head = copy[at + 3]
    if (head !== undefined && head < 0x80 && types.includes(head & 31)) copy.writeUInt8(12, at + 3)
  }
  return copy
}
