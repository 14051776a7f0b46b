/**
 * One audio track as containers describe it, whatever its codec.
 */
import type { AudioCodec, AudioConfig } from '../access-unit.ts'
import { aacAudioConfig } from './aac.ts'
import { flacAudioConfig } from './flac.ts'
import { opusAudioConfig } from './opus.ts'

/**
 * The configuration of a track from its header: AudioSpecificConfig, Opus identification header, or FLAC STREAMINFO in any of
 * its forms.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_UNSUPPORTED_CODEC` for what browsers cannot play.
 */
export function audioConfigFrom(codec: AudioCodec, header: Uint8Array): AudioConfig {
  switch (codec) {
    case 'aac':
      return aacAudioConfig(header)
    case 'opus':
      return opusAudioConfig(header)
    case 'flac':
      return flacAudioConfig(header)
  }
}
