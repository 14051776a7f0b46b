/**
 * AAC configuration: reads the AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1) with explicit and backward compatible
 * signalling of SBR and PS.
 */
import { KairoError } from '../../errors.ts'
import { bitstreamLimits } from '../../limits.ts'
import type { AudioConfig } from '../access-unit.ts'
import { BitReader } from './bit-reader.ts'

/** What an AudioSpecificConfig says of the decoded sound. */
interface AacConfig {
  /** RFC 6381 string, `mp4a.40.2`; `.5` with SBR, `.29` with PS. */
  readonly codecString: string
  /** Samples a second of the output: with SBR, after it. */
  readonly sampleRate: number
  /** Channels of the output: a mono core with PS gives 2. */
  readonly channels: number
  /** Output samples of one frame at {@link sampleRate}. */
  readonly samplesPerFrame: number
}

/** Samples a second by samplingFrequencyIndex (table 1.18). */
export const aacSampleRates: readonly number[] = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
  7_350,
]
/** Channels by channelConfiguration (table 1.19); 0 means a program config element says so, undefined is reserved. */
const CHANNELS = [0, 1, 2, 3, 4, 5, 6, 8, undefined, undefined, undefined, 7, 8, 24, 8] as const
const RATE_ESCAPE = 15
const TYPE_ESCAPE = 31
const TYPE_SBR = 5
const TYPE_PS = 29
const SYNC_EXTENSION = 0x2b7
const SYNC_EXTENSION_PS = 0x548
const EXTENSION_BITS_MIN = 16
/** Audio object types with a GASpecificConfig that browsers and muxers take: Main, LC, SSR, LTP. */
const GENERAL_TYPES = new Set([1, 2, 3, 4])

/**
 * Reads the configuration of an AAC track.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_UNSUPPORTED_CODEC` for object types other than AAC Main, LC,
 * SSR, LTP and their HE (SBR, PS) forms.
 */
function parseAacConfig(config: Uint8Array): AacConfig {
  const reader = new BitReader(config)
  const outerType = readObjectType(reader)
  const coreRate = readSampleRate(reader)
  const channelConfiguration = reader.bits(4)
  let sbrRate: number | undefined
  let ps = outerType === TYPE_PS
  let coreType = outerType
  if (outerType === TYPE_SBR || outerType === TYPE_PS) {
    sbrRate = readSampleRate(reader)
    coreType = readObjectType(reader)
  }
  if (!GENERAL_TYPES.has(coreType)) {
    throw new KairoError(
      'ERR_UNSUPPORTED_CODEC',
      `AAC object type ${coreType} is not supported; send AAC-LC or HE-AAC`,
    )
  }
  const { frameLength, channels: coreChannels } = readGeneral(reader, channelConfiguration)
  if (sbrRate === undefined) {
    const extension = readSyncExtension(reader)
    sbrRate = extension.sbrRate
    ps = extension.ps
  }
  const sampleRate = sbrRate ?? coreRate
  const samplesPerFrame = Math.round((frameLength * sampleRate) / coreRate)
  if (![coreRate, sampleRate].every(isSampleRate) || samplesPerFrame === 0) {
    throw new KairoError('ERR_PROTOCOL', 'the AAC configuration has no usable sample rate')
  }
  const type = ps ? TYPE_PS : sbrRate === undefined ? coreType : TYPE_SBR
  return {
    codecString: `mp4a.40.${type}`,
    sampleRate,
    channels: ps && coreChannels === 1 ? 2 : coreChannels,
    samplesPerFrame,
  }
}

/**
 * The configuration of a track from its AudioSpecificConfig.
 * @throws KairoError `ERR_PROTOCOL` when it is malformed, `ERR_UNSUPPORTED_CODEC` for object types other than AAC Main, LC,
 * SSR, LTP and their HE (SBR, PS) forms.
 */
export function aacAudioConfig(config: Uint8Array): AudioConfig {
  return {
    kind: 'audio',
    codec: 'aac',
    ...parseAacConfig(config),
    description: Uint8Array.from(config),
  }
}

function isSampleRate(rate: number): boolean {
  return rate >= bitstreamLimits.sampleRateMin && rate <= bitstreamLimits.sampleRateMax
}

function readObjectType(reader: BitReader): number {
  const type = reader.bits(5)
  return type === TYPE_ESCAPE ? 32 + reader.bits(6) : type
}

function readSampleRate(reader: BitReader): number {
  const index = reader.bits(4)
  if (index === RATE_ESCAPE) {
    const rate = reader.bits(24)
    if (rate === 0) throw new KairoError('ERR_PROTOCOL', 'an AAC sample rate of 0')
    return rate
  }
  const rate = aacSampleRates[index]
  if (rate === undefined) throw new KairoError('ERR_PROTOCOL', 'a reserved AAC sample rate')
  return rate
}

/** GASpecificConfig (4.4.1), of which only the frame length and the channel count matter. */
function readGeneral(
  reader: BitReader,
  channelConfiguration: number,
): { frameLength: number; channels: number } {
  const frameLength = reader.flag() ? 960 : 1024
  if (reader.flag()) reader.skip(14) // dependsOnCoreCoder, coreCoderDelay
  reader.skip(1) // extensionFlag: nothing follows for these object types
  const declared = CHANNELS[channelConfiguration]
  if (declared === undefined) throw new KairoError('ERR_PROTOCOL', 'a reserved AAC channel layout')
  const channels = declared === 0 ? readProgramChannels(reader) : declared
  if (channels === 0) throw new KairoError('ERR_PROTOCOL', 'the AAC configuration has no channels')
  return { frameLength, channels }
}

/** Counts the channels of a program_config_element (table 4.2): a pair element counts twice, and it is read to its end. */
function readProgramChannels(reader: BitReader): number {
  reader.skip(4 + 2 + 4) // element_instance_tag, object_type, sampling_frequency_index
  const elements = reader.bits(4)
  const side = reader.bits(4)
  const back = reader.bits(4)
  const lowFrequency = reader.bits(2)
  const data = reader.bits(3)
  const coupling = reader.bits(4)
  if (reader.flag()) reader.skip(4) // mono_mixdown
  if (reader.flag()) reader.skip(4) // stereo_mixdown
  if (reader.flag()) reader.skip(3) // matrix_mixdown
  let channels = lowFrequency
  for (let index = 0; index < elements + side + back; index += 1) {
    channels += reader.flag() ? 2 : 1
    reader.skip(4)
  }
  reader.skip(lowFrequency * 4 + data * 4 + coupling * 5)
  reader.align()
  reader.skip(reader.bits(8) * 8) // comment_field_data
  return channels
}

/** Backward compatible signalling: a sync word after the configuration, which old decoders do not look at (1.6.6.1). */
function readSyncExtension(reader: BitReader): { sbrRate: number | undefined; ps: boolean } {
  const none = { sbrRate: undefined, ps: false }
  if (reader.left < EXTENSION_BITS_MIN || reader.bits(11) !== SYNC_EXTENSION) return none
  if (reader.bits(5) !== TYPE_SBR || reader.left < 5 || !reader.flag()) return none
  const sbrRate = readSampleRate(reader)
  const ps = reader.left >= 12 && reader.bits(11) === SYNC_EXTENSION_PS && reader.flag()
  return { sbrRate, ps }
}
