/**
 * The checksum of table sections (ISO/IEC 13818-1 annex A).
 */

const CRC_POLYNOMIAL = 0x04c1_1db7

const crcTable: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24
  for (let bit = 0; bit < 8; bit += 1) crc = (crc << 1) ^ (crc < 0 ? CRC_POLYNOMIAL : 0)
  return crc >>> 0
})

/** CRC-32 of MPEG-2 (annex A); 0 over a section with its right CRC behind it. */
export function crc32Mpeg(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) crc = ((crc << 8) ^ (crcTable[(crc >>> 24) ^ byte] ?? 0)) >>> 0
  return crc
}
