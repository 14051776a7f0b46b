/** A library and a pipeline with real media children, as a peer has them, for tests. */
import { Registry } from 'prom-client'
import { systemClock } from '../../src/clock.ts'
import { ContentStore } from '../../src/content/store/store.ts'
import { silentLogger } from '../../src/logger.ts'
import { MediaPool } from '../../src/media/child/pool.ts'
import type { LadderPlan, LadderSource } from '../../src/media/ladder/plan.ts'
import type { VideoRung } from '../../src/media/ladder/rung.ts'
import { VodLibrary } from '../../src/vod/library.ts'
import { VodPipeline, type VodPipelineInit } from '../../src/vod/pipeline.ts'
import type { VodStatus } from '../../src/vod/vod-status.ts'
import { forkUncounted } from './uncounted.ts'
import { newVideoId } from './video-ids.ts'

/** Everything that makes videos. */
export interface VodPeer {
  readonly registry: Registry
  readonly media: MediaPool
  readonly library: VodLibrary
  readonly pipeline: VodPipeline
  /** Resolves when the video is ready or has failed. */
  settled(id: string): Promise<VodStatus>
  stop(): Promise<void>
}

/** How a {@link VodPeer} differs from the usual one. */
export interface VodPeerOptions extends Partial<VodPipelineInit> {
  readonly bytesMax?: number
  readonly canStart?: () => boolean
  readonly ladder?: (source: LadderSource) => LadderPlan
}

/** A ladder of one small rung, whatever the source. */
export function smallLadder(source: LadderSource): LadderPlan {
  const rung: VideoRung = {
    ...{ name: '72p', encoder: 'libx264', codec: 'h264', width: 128, height: 72 },
    ...{ frameRate: undefined, bitrateBps: 150_000, bitrateMaxBps: 300_000, bufferMs: 1_000 },
    ...{ preset: 'ultrafast', bFramesMax: 2, dynamicRange: 'sdr' },
  }
  const video = source.video === undefined ? [] : [rung]
  return { video, audio: [], dropped: [], limitedByBitrate: false }
}

/** Starts one on a folder. */
export async function startVodPeer(
  directory: string,
  options: VodPeerOptions = {},
): Promise<VodPeer> {
  forkUncounted()
  const { bytesMax = 2 ** 30, canStart = () => true, ladder = smallLadder, ...init } = options
  const registry = new Registry()
  const common = { clock: systemClock, logger: silentLogger, registry }
  const media = new MediaPool(common, { warm: 1, childrenMax: 6 })
  media.start()
  const store = new ContentStore(common, { memoryBytesMax: 2 ** 24, diskBytesMax: 0 })
  const library = new VodLibrary({ ...common, store }, { directory, bytesMax, newId: newVideoId })
  await library.start()
  const pipeline = new VodPipeline(
    { ...common, library, media, canStart, ladder },
    { parallel: 2, ...init },
  )
  pipeline.start()
  return {
    ...{ registry, media, library, pipeline },
    settled: (id) =>
      new Promise((resolve) => {
        const look = (): void => {
          const status = library.status(id)
          if (status?.state !== 'ready' && status?.state !== 'failed') return
          library.events.off('vod:changed', look)
          resolve(status)
        }
        library.events.on('vod:changed', look)
        look()
      }),
    stop: async () => {
      await pipeline.stop()
      await library.stop()
      await media.stop()
    },
  }
}
