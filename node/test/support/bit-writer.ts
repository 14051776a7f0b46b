/**
 * Builds bit fields for tests of codec headers: `bits([2, 5], [3, 4])` is 5 bits of value 2, then 4 bits of value 3, padded with
 * zeros to whole bytes.
 */

/** One field. */
export type BitField = readonly [value: number, width: number]

/** The bytes of these `[value, width]` fields, most significant bit first. */
export function bits(...fields: readonly BitField[]): Uint8Array {
  const text = fields.map(([value, width]) => value.toString(2).padStart(width, '0')).join('')
  const padded = text.padEnd(Math.ceil(text.length / 8) * 8, '0')
  return Uint8Array.from(padded.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2))
}

/** ue(v): the Exp-Golomb code of an unsigned number. */
export function ue(value: number): BitField {
  return [value + 1, 2 * Math.floor(Math.log2(value + 1)) + 1]
}

/** `flags(1, 0, 1)`: one bit each. */
export function flags(...values: readonly (0 | 1)[]): readonly BitField[] {
  return values.map((value) => [value, 1] as const)
}
