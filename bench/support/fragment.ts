/** Reads from a CMAF part which pictures it holds and how long it lasts (ISO/IEC 14496-12, 8.8). */
import { frameTail } from './rtmp-pusher.ts'

/** One track's run of samples in a part. */
export interface FragmentRun {
  /** {@link frameTail} of each sample, in order. */
  readonly tails: readonly string[]
  /** In units of the track's timescale. */
  readonly durationTicks: number
}

interface Box {
  readonly type: string
  readonly at: number
  /** Payload of the box. */
  readonly body: Buffer
}

/** The boxes of a buffer, one after the other; what is cut off at the end is left out. */
function boxes(bytes: Buffer): Box[] {
  const found: Box[] = []
  let at = 0
  while (at + 8 <= bytes.byteLength) {
    const size = bytes.readUInt32BE(at)
    if (size < 8 || at + size > bytes.byteLength) break
    found.push({
      type: bytes.toString('latin1', at + 4, at + 8),
      at,
      body: bytes.subarray(at + 8, at + size),
    })
    at += size
  }
  return found
}

function children(bytes: Buffer, type: string): Buffer[] {
  return boxes(bytes)
    .filter((box) => box.type === type)
    .map((box) => box.body)
}

/** Timescale of the first video track of an init segment; 90000 when it names none. */
export function videoTimescale(init: Buffer): number {
  for (const trak of children(init, 'moov').flatMap((moov) => children(moov, 'trak'))) {
    const media = children(trak, 'mdia')[0] ?? Buffer.alloc(0)
    if (children(media, 'hdlr')[0]?.toString('latin1', 8, 12) !== 'vide') continue
    const header = children(media, 'mdhd')[0]
    if (header !== undefined) return header.readUInt32BE(header.readUInt8(0) === 1 ? 20 : 12)
  }
  return 90_000
}

/** Every run of samples in a part, over all its fragments and tracks. */
export function fragmentRuns(part: Buffer): FragmentRun[] {
  return boxes(part)
    .filter((box) => box.type === 'moof')
    .flatMap((moof) =>
      children(moof.body, 'traf').flatMap((traf) => {
        const defaults = trackDefaults(children(traf, 'tfhd')[0])
        return children(traf, 'trun').map((trun) => readRun(part, moof.at, trun, defaults))
      }),
    )
}

interface Defaults {
  readonly duration: number
  readonly bytes: number
}

/** tfhd, 8.8.7. */
function trackDefaults(tfhd: Buffer | undefined): Defaults {
  if (tfhd === undefined) return { duration: 0, bytes: 0 }
  const flags = tfhd.readUIntBE(1, 3)
  let at = 8 + (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4 : 0)
  const duration = flags & 0x8 ? tfhd.readUInt32BE(at) : 0
  at += flags & 0x8 ? 4 : 0
  return { duration, bytes: flags & 0x10 ? tfhd.readUInt32BE(at) : 0 }
}

/** trun, 8.8.8; the data offset counts from the start of the moof. */
function readRun(part: Buffer, moofAt: number, trun: Buffer, defaults: Defaults): FragmentRun {
  const flags = trun.readUIntBE(1, 3)
  const count = trun.readUInt32BE(4)
  let at = 8
  let dataAt = moofAt + (flags & 0x1 ? trun.readInt32BE(at) : 0)
  at += (flags & 0x1 ? 4 : 0) + (flags & 0x4 ? 4 : 0)
  const tails: string[] = []
  let durationTicks = 0
  for (let index = 0; index < count; index += 1) {
    durationTicks += flags & 0x100 ? trun.readUInt32BE(at) : defaults.duration
    at += flags & 0x100 ? 4 : 0
    const bytes = flags & 0x200 ? trun.readUInt32BE(at) : defaults.bytes
    at += (flags & 0x200 ? 4 : 0) + (flags & 0x400 ? 4 : 0) + (flags & 0x800 ? 4 : 0)
    tails.push(frameTail(part.subarray(dataAt, dataAt + bytes)))
    dataAt += bytes
  }
  return { tails, durationTicks }
}
