/** CRC-32C against published values and against its definition, bit by bit. */
import fc from 'fast-check'
import { test } from 'tap'
import { crc32c } from '../../src/wal/crc32c.ts'
import { bytesOf } from '../../src/wal/record.ts'

function definition(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

const whole = (bytes: Uint8Array) => crc32c(bytesOf(bytes), 0, bytes.length)

test('the values of RFC 3720 B.4', async (t) => {
  t.equal(whole(new TextEncoder().encode('123456789')), 0xe3069283)
  t.equal(whole(new Uint8Array(32)), 0x8a9136aa)
  t.equal(whole(new Uint8Array(32).fill(255)), 0x62a8ab43)
  t.equal(whole(Uint8Array.from({ length: 32 }, (_, at) => at)), 0x46dd794e)
  t.equal(whole(Uint8Array.from({ length: 32 }, (_, at) => 31 - at)), 0x113fdb5c)
})

test('any bytes, any part, in one piece or two', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), fc.nat(100), (bytes, a, b) => {
      const [from, to] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)]
      const source = bytesOf(bytes)
      const crc = crc32c(source, from, to)
      const middle = (from + to) >>> 1
      return (
        crc === definition(bytes.subarray(from, to)) &&
        crc === crc32c(source, middle, to, crc32c(source, from, middle))
      )
    }),
    { numRuns: 1000 },
  )
})
