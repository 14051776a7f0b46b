/**
 * Mutations of recorded bytes for fuzzing: a few small changes to something real reach deeper into a parser than noise does.
 */
import fc from 'fast-check'

interface Mutation {
  readonly kind: 'set' | 'flip' | 'insert' | 'delete' | 'repeat' | 'cut' | 'extreme'
  /** Where, as a fraction of the length. */
  readonly at: number
  readonly value: number
  readonly bytes: Uint8Array
}

/** Bytes that often mean "most", "none" or "extended". */
const EXTREMES = [0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff]

/** Up to `countMax` mutations. */
export function mutations(countMax = 6): fc.Arbitrary<readonly Mutation[]> {
  const mutation = fc.record<Mutation>({
    kind: fc.constantFrom('set', 'flip', 'insert', 'delete', 'repeat', 'cut', 'extreme'),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    value: fc.nat(255),
    bytes: fc.uint8Array({ maxLength: 24 }),
  })
  return fc.array(mutation, { minLength: 1, maxLength: countMax })
}

/** A changed copy of `seed`; bytes before `from` stay as they are. */
export function mutate(seed: Buffer, changes: readonly Mutation[], from = 0): Buffer {
  return changes.reduce<Buffer>((bytes, change) => applyOne(bytes, change, from), Buffer.from(seed))
}

function applyOne(
  bytes: Buffer,
  { kind, at, value, bytes: extra }: Mutation,
  from: number,
): Buffer {
  const offset = from + Math.floor(at * Math.max(0, bytes.byteLength - from - 1))
  const head = bytes.subarray(0, offset)
  switch (kind) {
    case 'set':
      if (offset < bytes.byteLength) bytes.writeUInt8(value, offset)
      return bytes
    case 'flip':
      if (offset < bytes.byteLength) bytes[offset] = (bytes[offset] ?? 0) ^ (1 << (value & 7))
      return bytes
    case 'extreme':
      bytes.subarray(offset, offset + 1 + (value >> 6)).fill(EXTREMES[value & 7] ?? 0)
      return bytes
    case 'insert':
      return Buffer.concat([head, extra, bytes.subarray(offset)])
    case 'delete':
      return Buffer.concat([head, bytes.subarray(offset + 1 + (value & 31))])
    case 'repeat':
      return Buffer.concat([head, bytes.subarray(offset, offset + value), bytes.subarray(offset)])
    case 'cut':
      return head
  }
}
