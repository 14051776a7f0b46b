/** The rooms that make renditions: media children, the transcoder of live streams, the library of videos. */
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { UPLOADS_PATH } from '../api/uploads.ts'
import type { ContentStore } from '../content/store/store.ts'
import type { NetworkVideos } from '../content/videos/network-videos.ts'
import type { VideoDirectory } from '../content/videos/video-directory.ts'
import { isVideoIdOf, makeVideoId } from '../content/videos/video-id.ts'
import type { VideoRecord } from '../content/videos/video-record.ts'
import { KairoError } from '../errors.ts'
import type { StreamKeys } from '../ingest/stream-keys.ts'
import type { StreamOptionsStore } from '../ingest/stream-options.ts'
import { readinessLimits } from '../limits.ts'
import { MediaPool } from '../media/child/pool.ts'
import { EncoderCatalog } from '../media/encoder-catalog.ts'
import { planLadder } from '../media/ladder/plan.ts'
import { PresetStore } from '../media/ladder/preset-store.ts'
import type { SessionObserver } from '../media/published-session.ts'
import { TranscodeService } from '../transcode/service.ts'
import { Downloads } from '../vod/download/downloads.ts'
import { VodLibrary } from '../vod/library.ts'
import { VodPipeline } from '../vod/pipeline.ts'
import { UploadServer } from '../vod/upload/upload-server.ts'
import { WatchFolder } from '../vod/watch-folder.ts'
import type { EmitWebhook } from '../webhooks/events.ts'
import type { Base, ComponentsInit } from './base.ts'

/** Presets, encoders and the pool of children. */
export interface MediaRooms {
  readonly presets: PresetStore
  readonly encoders: EncoderCatalog
  readonly media: MediaPool
}

/** Builds what every maker of renditions needs. */
export function createMedia(
  base: Base,
  { loaded: { settings }, home }: ComponentsInit,
): MediaRooms {
  const presets = new PresetStore({ directory: home.presetsDirectory })
  try {
    presets.get(settings.defaultQuality)
  } catch (cause) {
    throw new KairoError('ERR_CONFIG', `default quality: ${(cause as Error).message}`, { cause })
  }
  return {
    presets,
    encoders: new EncoderCatalog(base, settings),
    media: new MediaPool(base, {
      warm: Math.min(readinessLimits.warmChildren, settings.mediaChildrenMax),
      childrenMax: settings.mediaChildrenMax,
    }),
  }
}

/** What the transcoder of live streams stands on. */
export interface TranscodingRooms extends MediaRooms {
  readonly keys: StreamKeys
  readonly streamOptions: StreamOptionsStore
  readonly observers: SessionObserver[]
  readonly emit: EmitWebhook
}

/** Builds the transcoder of live streams; it hears of every publisher. */
export function createTranscoding(
  base: Base,
  { keys, streamOptions, observers, media, presets, encoders, emit }: TranscodingRooms,
  { loaded: { settings } }: ComponentsInit,
): TranscodeService {
  const transcoding = new TranscodeService(
    {
      ...base,
      media,
      presets,
      encoders: () => encoders.found,
      onGivenUp: (stream, rung, reason) =>
        emit('transcode.degraded', { stream, rungs: [rung], reason }),
      qualityOf: (name) => {
        const chosen = streamOptions.get(name).quality
        // The built-in test stream shows that the peer works; a ladder of it would cost more than the peer itself.
        return chosen ?? (keys.get(name)?.builtIn === true ? 'source' : settings.defaultQuality)
      },
    },
    settings,
  )
  streamOptions.onChange((name) => transcoding.optionsChanged(name))
  observers.push(transcoding)
  return transcoding
}

/** What the library stands on. */
export interface LibraryParts extends MediaRooms {
  readonly store: ContentStore
  readonly transcoding: TranscodeService
  readonly videos: VideoDirectory
  readonly networkVideos: NetworkVideos
  /** What DVR windows and recordings under way use of the disk. */
  readonly archivedBytes: () => number
}

/** The library and the ways in and out of it. */
export interface LibraryRooms {
  readonly library: VodLibrary
  readonly pipeline: VodPipeline
  readonly uploads: UploadServer
  /** Undefined when no folder is watched. */
  readonly watchFolder: WatchFolder | undefined
  readonly downloads: Downloads
  /** Tells other peers what videos there are; before this is first called they are told nothing. */
  readonly tellOfOwnVideos: () => void
}

/** Builds the library of videos. */
export function createLibrary(
  base: Base,
  parts: LibraryParts,
  { loaded: { settings }, home }: ComponentsInit,
): LibraryRooms {
  const { store, media, presets, encoders, transcoding, archivedBytes } = parts
  const { videos, networkVideos } = parts
  const library: VodLibrary = new VodLibrary(
    { ...base, store },
    {
      directory: home.vodDirectory,
      newId: () => makeVideoId(base.host.peerId, randomBytes),
      bytesMax: settings.vodBytesMax,
      bytesElsewhere: () => uploads.usage() + archivedBytes(),
    },
  )
  const pipeline = new VodPipeline(
    {
      ...base,
      library,
      media,
      ladder: (source) =>
        planLadder(source, presets.get(settings.defaultQuality), encoders.found ?? []),
      // A file can wait: live streams take what they need first.
      canStart: () => encoders.found !== undefined && transcoding.headroomCores > 0,
    },
    { parallel: Math.max(1, Math.min(availableParallelism(), settings.mediaChildrenMax - 1)) },
  )
  const uploads = new UploadServer(
    {
      ...base,
      library: { addFile: (file) => library.addFile(file) },
      roomFor: (bytes) => library.usage().bytesFree >= bytes,
    },
    { directory: home.uploadsDirectory, basePath: UPLOADS_PATH },
  )
  const watchFolder =
    settings.watchFolder === ''
      ? undefined
      : new WatchFolder(
          { ...base, library },
          { directory: settings.watchFolder, stateFile: home.watchFolderFile },
        )
  const downloads = new Downloads(
    { ...base, library, others: networkVideos },
    { directory: home.downloadsDirectory },
  )
  const tellOfOwnVideos = (): void => {
    videos.ownChanged(() => (settings.shareVideos ? ownVideos(library, base.host.peerId) : []))
  }
  library.events.on('vod:changed', tellOfOwnVideos)
  return { library, pipeline, uploads, watchFolder, downloads, tellOfOwnVideos }
}

/** Those that other peers may be told of: names of early versions do not say whose they are. */
function ownVideos(library: VodLibrary, peerId: string): VideoRecord[] {
  return library.records().filter(({ id }) => isVideoIdOf(peerId, id))
}
