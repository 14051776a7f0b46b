/**
 * A transport demuxer and everything that came out of it.
 */
import type { AccessUnit, TrackConfig } from '../../src/media/access-unit.ts'
import { TransportDemuxer } from '../../src/media/mpegts/demuxer.ts'
import type { TransportDropReason } from '../../src/media/mpegts/track-reader.ts'

/** Collects. */
export class DemuxingRun {
  readonly tracks: { readonly video: boolean; readonly audio: boolean }[] = []
  readonly configs: TrackConfig[] = []
  readonly units: AccessUnit[] = []
  readonly drops: TransportDropReason[] = []
  readonly demuxer = new TransportDemuxer({
    tracks: (kinds) => this.tracks.push(kinds),
    configure: (config) => this.configs.push(config),
    unit: (unit) => this.units.push(unit),
    dropped: (reason) => this.drops.push(reason),
  })

  /** Takes bytes, whole or in pieces. */
  push(bytes: Buffer, pieceBytes = bytes.byteLength): this {
    for (let offset = 0; offset < bytes.byteLength; offset += pieceBytes) {
      this.demuxer.push(bytes.subarray(offset, offset + pieceBytes))
    }
    return this
  }

  /** Ends the stream. */
  end(): this {
    this.demuxer.end()
    return this
  }

  /** Decoding times of one kind of unit. */
  times(kind: 'video' | 'audio'): number[] {
    return this.units.filter((unit) => unit.kind === kind).map(({ dts }) => dts)
  }
}
