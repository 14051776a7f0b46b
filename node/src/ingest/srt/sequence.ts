/**
 * Packet sequence numbers of SRT: 31 bits that wrap (draft-sharabayko-srt-01 section 3.1), compared by serial arithmetic.
 */

/** Numbers before they begin again at 0. */
export const SEQUENCE_MODULUS = 2 ** 31

/** The number `count` after `sequence`; `count` may be negative. */
export function addSequence(sequence: number, count: number): number {
  const sum = (sequence + count) % SEQUENCE_MODULUS
  return sum < 0 ? sum + SEQUENCE_MODULUS : sum
}

/** How many numbers `a` lies after `b`, negative when before; the shorter way around. */
export function sequenceDistance(a: number, b: number): number {
  let distance = (a - b) % SEQUENCE_MODULUS
  if (distance < 0) distance += SEQUENCE_MODULUS
  return distance >= SEQUENCE_MODULUS / 2 ? distance - SEQUENCE_MODULUS : distance
}
