/** Puts frames behind their lengths, small ones together into one write. */
import assert from 'node:assert/strict'
import { frameLimits } from './line-limits.ts'

/** Bytes of the longest length. */
const LENGTH_BYTES_MAX = 4
const none = new Uint8Array(0)

/** What goes out next of a queue. */
export interface FrameWrite {
  readonly frames: number
  /** Of the frames alone. */
  readonly bytes: number
  /** Large frames in pieces, so that the time that each takes is known. */
  readonly pieces: readonly Uint8Array[]
}

/**
 * Takes the next write from the front of a queue: one large frame, or small ones together.
 * @param queue at least one frame
 * @param first goes before them
 */
export function nextWrite(queue: readonly Uint8Array[], first: Uint8Array = none): FrameWrite {
  assert(queue.length > 0, 'there is something to write')
  const { writeBytesMax } = frameLimits
  let frames = 0
  let bytes = 0
  for (const frame of queue) {
    if (frames > 0 && bytes + frame.byteLength > writeBytesMax) break
    frames += 1
    bytes += frame.byteLength
  }
  const firstBytes = first.byteLength
  if (bytes > writeBytesMax) {
    const frame = queue[0] as Uint8Array
    const head = Buffer.allocUnsafe(firstBytes + LENGTH_BYTES_MAX)
    head.set(first)
    const headBytes = putLength(head, firstBytes, bytes)
    return { frames, bytes, pieces: [head.subarray(0, headBytes), ...slices(frame)] }
  }
  const write = Buffer.allocUnsafe(firstBytes + bytes + LENGTH_BYTES_MAX * frames)
  write.set(first)
  let at = firstBytes
  for (let index = 0; index < frames; index += 1) {
    const frame = queue[index] as Uint8Array
    at = putLength(write, at, frame.byteLength)
    write.set(frame, at)
    at += frame.byteLength
  }
  return { frames, bytes, pieces: [write.subarray(0, at)] }
}

function slices(frame: Uint8Array): Uint8Array[] {
  const { writeBytesMax } = frameLimits
  return Array.from({ length: Math.ceil(frame.byteLength / writeBytesMax) }, (_, index) =>
    frame.subarray(index * writeBytesMax, (index + 1) * writeBytesMax),
  )
}

function putLength(target: Uint8Array, start: number, value: number): number {
  let at = start
  let rest = value
  for (; rest > 0x7f; rest >>>= 7) {
    target[at] = (rest & 0x7f) | 0x80
    at += 1
  }
  target[at] = rest
  return at + 1
}
