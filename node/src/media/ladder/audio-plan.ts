/** The sound that is made beside the source's: AAC for players that take nothing else, Opus for WebRTC. */
import type { AudioFacts, DroppedRung, EncoderState } from './plan.ts'
import type { Preset } from './preset.ts'
import type { AudioRung } from './rung.ts'

/** Rates that AAC has and players take (ISO/IEC 14496-3 table 1.18). */
const aacRates = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]

/** Rungs of sound for a source; those that cannot be made are added to `dropped`. */
export function planAudio(
  source: AudioFacts | undefined,
  { audio: asked }: Preset,
  encoders: readonly EncoderState[],
  dropped: DroppedRung[],
): AudioRung[] {
  if (source === undefined) return []
  // More than stereo is the source's to offer: what is made here is what every player takes.
  const channels = Math.min(2, source.channels)
  const share = channels === 1 ? 0.6 : 1
  const rungs: AudioRung[] = []
  if (asked.aac === 'needed' && source.codec !== 'aac') {
    const sampleRate = aacRate(source.sampleRate)
    // An AAC frame holds at most 6,144 bits a channel (ISO/IEC 14496-3 4.5.3.1); half of that is plenty.
    const bitrateBps = Math.min(asked.aacKbps * 1000 * share, sampleRate * 3 * channels)
    rungs.push({ name: 'audio-aac', codec: 'aac', bitrateBps, channels, sampleRate })
  }
  if (asked.opus && source.codec !== 'opus') {
    const bitrateBps = asked.opusKbps * 1000 * share
    rungs.push({ name: 'audio-opus', codec: 'opus', bitrateBps, channels, sampleRate: 48_000 })
  }
  return rungs.filter(({ name, codec }) => {
    const encoder = codec === 'aac' ? 'aac' : 'libopus'
    const broken = encoders.some((probe) => probe.name === encoder && !probe.ok)
    if (broken) dropped.push({ name, reason: `the encoder ${encoder} does not work here` })
    return !broken
  })
}

/** The source's rate where AAC has it, else the usual rate of its family. */
function aacRate(sampleRate: number): number {
  if (aacRates.includes(sampleRate)) return sampleRate
  return sampleRate % 11_025 === 0 ? 44_100 : 48_000
}
