/**
 * Bounds on what an MPEG transport stream may make this peer hold before it makes sense.
 */

const KiB = 1024
const MiB = 1024 * KiB

/** MPEG-TS demuxing. */
export const mpegtsLimits = {
  /** Bytes in a row that are no transport packets before the stream is refused. */
  garbageBytesMax: 256 * KiB,
  /** Bytes to find a program with tracks in; encoders repeat the tables ten times a second. */
  tablesBytesMax: 8 * MiB,
  /** One PES packet: a keyframe of 8K video at high quality stays below this. */
  pesBytesMax: 16 * MiB,
  /** One PES packet of sound, which says its length in 16 bits (ISO/IEC 13818-1 2.4.3.7: only video may leave it out). */
  audioPesBytesMax: 64 * KiB + 6,
  /** Pictures of one PES packet; one is the rule, and each costs more than the four bytes that begin it. */
  picturesMax: 64,
  /** Elementary streams of one program that are looked at. */
  streamsMax: 64,
  /** Programs of one program association table that are looked at; its first with tracks is taken. */
  programsMax: 64,
  /** Scrambled packets in a row, of the tracks of a program, before the stream is refused. */
  scrambledPacketsMax: 1_000,
  /** Damaged access units of one track in a row before the stream is refused; fewer are dropped one by one. */
  damagedUnitsMax: 64,
  /** Media time for which video waits for a keyframe after a loss; then it goes on, for an encoder that sends none. */
  keyframeWaitMs: 5_000,
} as const
