/** Opens FFmpeg's decoder for a track. */
import { FF_THREAD_FRAME, FF_THREAD_SLICE } from 'node-av/constants'
import { Codec, CodecContext, FFmpegError, Rational } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import { mediaFileLimits } from '../../../limits/vod.ts'
import { TICKS_PER_SECOND, type TrackConfig } from '../../access-unit.ts'
import { codecId } from './codecs.ts'
import { parametersOf } from './parameters.ts'

/** The time base of every packet and frame of a unit. */
export const unitTimeBase = new Rational(1, TICKS_PER_SECOND)

/**
 * A decoder whose packets and frames count in 1/90000 s; the caller frees it. More than one thread costs a picture of delay each.
 * @throws KairoError `ERR_MEDIA` when it refuses the configuration.
 */
export function openDecoder(config: TrackConfig, threads: number): CodecContext {
  const codec = Codec.findDecoder(codecId(config.codec))
  if (codec === null) {
    throw new KairoError('ERR_UNSUPPORTED_CODEC', `FFmpeg has no decoder for ${config.codec} here`)
  }
  const context = new CodecContext()
  context.allocContext3(codec)
  const parameters = parametersOf(config)
  try {
    FFmpegError.throwIfError(parameters.toContext(context), 'parameters')
    FFmpegError.throwIfError(
      context.setOption('max_pixels', String(mediaFileLimits.picturePixelsMax)),
      'pixels',
    )
    context.pktTimebase = unitTimeBase
    context.threadCount = threads
    context.threadType = threads > 1 ? FF_THREAD_FRAME : FF_THREAD_SLICE
    FFmpegError.throwIfError(context.open2Sync(), 'open')
    return context
  } catch (cause) {
    context.freeContext()
    throw new KairoError('ERR_MEDIA', `the ${config.codec} decoder refuses the track`, { cause })
  } finally {
    parameters.free()
  }
}
