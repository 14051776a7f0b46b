/** A place that a stream is also sent to: what may be shown of its address, and whether it can take the stream at all. */
import type { TrackConfig } from '../media/access-unit.ts'
import { percentDecoded } from '../urls.ts'

/** A target as the stream's owner chose it. */
export interface RestreamTarget {
  /** Unique in the stream. */
  readonly name: string
  /** `rtmp(s)://`, `srt://`. Secret: it holds the target's stream key. */
  readonly url: string
  readonly enabled: boolean
}

/**
 * Why this address can never be sent to, in words; undefined when it can. Stream keys are random and belong to one stream, so an
 * address with the stream's own key leads back into it, whatever the host is called.
 */
export function refusalOf(url: string, streamKey: string | undefined): string | undefined {
  const address = new URL(url)
  if (!['rtmp:', 'rtmps:', 'srt:'].includes(address.protocol)) {
    return 'a target is an rtmp, rtmps or srt address'
  }
  if (address.hostname === '') return 'the address names no host'
  if (address.protocol === 'srt:' && (address.searchParams.get('mode') ?? 'caller') !== 'caller') {
    return 'Kairo calls SRT targets; it does not wait for them (mode=caller)'
  }
  if (
    streamKey !== undefined &&
    (url.includes(streamKey) || percentDecoded(url).includes(streamKey))
  ) {
    return "this is the stream's own ingest: it would be sent to itself"
  }
  return undefined
}

/** Why a target cannot take these tracks, in words; undefined when it can. Sound is converted where it must be. */
export function misfitOf(url: string, configs: Iterable<TrackConfig>): string | undefined {
  const srt = url.startsWith('srt:')
  const takes = srt ? ['h264', 'hevc'] : ['h264']
  for (const config of configs) {
    if (config.kind === 'audio' || takes.includes(config.codec)) continue
    const others = srt ? 'publish H.264 or HEVC' : 'publish H.264, or use an SRT target for HEVC'
    return `${srt ? 'SRT' : 'RTMP'} targets do not take ${config.codec.toUpperCase()} pictures: ${others}`
  }
  return undefined
}
