/**
 * Writes ISO base media file format boxes (ISO/IEC 14496-12 4.2) for init segments, which are made once a session.
 * Fragments, made several times a second, are laid out in one buffer by fragment.ts instead.
 */

/** Bytes of a box header with a 32-bit size. */
export const BOX_HEADER_BYTES = 8

/** A box: size, four-character type, content. */
export function box(type: string, ...content: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(BOX_HEADER_BYTES)
  const bytes = content.reduce((sum, piece) => sum + piece.byteLength, BOX_HEADER_BYTES)
  header.writeUInt32BE(bytes, 0)
  header.write(type, 4, 'latin1')
  return Buffer.concat([header, ...content], bytes)
}

/** A full box: a box whose content begins with a version and 24 flag bits. */
export function fullBox(
  type: string,
  version: number,
  flags: number,
  ...content: readonly Uint8Array[]
): Buffer {
  return box(type, uint32(((version << 24) | flags) >>> 0), ...content)
}

/** Big-endian bytes of one or more unsigned 32-bit numbers. */
export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4)
  return bytes
}

/** Big-endian bytes of one or more unsigned 16-bit numbers. */
export function uint16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2)
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2)
  return bytes
}
