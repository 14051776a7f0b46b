/** Unsigned variable-length integers, seven bits a byte, lowest first (protobuf, multiformats unsigned-varint). */

/** The shortest encoding of a whole number below 2^31. */
export function encodeUvarint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  bytes.push(rest)
  return Uint8Array.from(bytes)
}
