/**
 * Bounds on what the codec parsers take from a publisher: everything they read is a stranger's bytes.
 */
export const codecLimits = {
  /** NAL units of one access unit; 8K pictures in many slices stay far below, start codes in a row do not. */
  nalUnitsMax: 4_096,
  /** SEI messages that are looked at in one NAL unit; encoders send one to five. */
  seiMessagesMax: 64,
  /** OBUs of one temporal unit: a tile group each, at worst. */
  obusMax: 4_096,
  /** Reference picture sets of an HEVC SPS (ISO/IEC 23008-2 7.4.3.2.1). */
  hevcReferenceSetsMax: 64,
  /** Pictures of one such set: the decoded picture buffer holds no more. */
  hevcReferencePicturesMax: 16,
  /** Parameter sets of one kind in a configuration record; the syntax allows 32 SPS and 256 PPS, encoders send one or two. */
  parameterSetsMax: 64,
  /** Raw bytes of a configuration record with all its parameter sets. */
  configBytesMax: 64 * 1024,
  /** Channels of one audio track: the 8 of mapping family 1 and of FLAC; more cannot be played by browsers. */
  channelsMax: 8,
  /** Tracks of each kind that one publisher may send; more are dropped and counted. Encoders that send several send 2 to 6. */
  tracksMax: 8,
  /** Characters of a track's language and name as the publisher tells them. */
  labelCharsMax: 64,
} as const
