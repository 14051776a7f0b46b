/**
 * Raw AAC-LC frames of silence (ISO/IEC 14496-3 4.4.2), which fill gaps in audio: a gap would stop players, a silent
 * frame does not. Decoders of HE-AAC take them too, as frames without the high-band extension.
 */

/** By number of channels, in hexadecimal; each is one access unit with all its elements. */
const FRAMES: Readonly<Record<number, Buffer>> = {
  1: Buffer.from('00c800802380', 'hex'),
  2: Buffer.from('210049900219002380', 'hex'),
  3: Buffer.from('00c8008020840126400864008e', 'hex'),
  4: Buffer.from('00c80080208401264008640080' + '2c80080238', 'hex'),
  5: Buffer.from('00c80080208401264008640082' + '3004990021900238', 'hex'),
  6: Buffer.from('00c80080208401264008640082' + '3004990021900200b2002008e0', 'hex'),
}

/** A silent frame for so many channels, or undefined for layouts that have none here. */
export function silentFrame(channels: number): Buffer | undefined {
  return FRAMES[channels]
}
