/** Walks the boxes of an ISO base media file (ISO/IEC 14496-12 4.2). It copies nothing: views are offsets into the buffer. */
import { KairoError } from '../../errors.ts'
import { BOX_HEADER_BYTES } from './box.ts'

/** Where a box lies in its buffer, as byte offsets. */
export interface BoxView {
  readonly type: string
  readonly start: number
  /** First byte after the header. */
  readonly body: number
  readonly end: number
}

/** Boxes in one container; ours hold fewer than ten. */
const BOXES_MAX = 1_024

/**
 * The boxes that fill `start` to `end`.
 * @throws KairoError `ERR_INVALID_INPUT` when a size leaves its container or bytes are left over.
 */
export function readBoxes(
  bytes: Uint8Array,
  start = 0,
  end = bytes.byteLength,
): readonly BoxView[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const boxes: BoxView[] = []
  let at = start
  while (at < end) {
    if (end - at < BOX_HEADER_BYTES || boxes.length === BOXES_MAX) throw malformedBox('box header')
    const size = view.readUInt32BE(at)
    const type = view.toString('latin1', at + 4, at + 8)
    if (size < BOX_HEADER_BYTES || at + size > end) throw malformedBox(`${type} size`)
    boxes.push({ type, start: at, body: at + BOX_HEADER_BYTES, end: at + size })
    at += size
  }
  return boxes
}

/**
 * The box that a path of types leads to.
 * @throws KairoError `ERR_INVALID_INPUT` when it is not there.
 */
export function findBox(bytes: Uint8Array, ...path: readonly string[]): BoxView {
  let boxes = readBoxes(bytes)
  let found: BoxView | undefined
  for (const type of path) {
    found = boxes.find((candidate) => candidate.type === type)
    if (found === undefined) throw malformedBox(`missing ${type}`)
    if (type !== path.at(-1)) boxes = readBoxes(bytes, found.body, found.end)
  }
  if (found === undefined) throw malformedBox('empty path')
  return found
}

/** The error of a box that is not as it must be. */
export function malformedBox(what: string): KairoError {
  return new KairoError('ERR_INVALID_INPUT', `malformed media fragment: ${what}`)
}
