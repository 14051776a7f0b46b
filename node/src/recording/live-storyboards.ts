/** Small pictures of live streams, one every few seconds of the DVR window, for pages on which viewers go back. Kept in RAM. */
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { type Digest, digestOf } from '../content/digest.ts'
import type { StreamId } from '../content/stream.ts'
import { liveStoryboardLimits as limits } from '../limits/live-storyboard.ts'
import type { Logger } from '../logger.ts'
import type { AccessUnit, VideoConfig } from '../media/access-unit.ts'
import type { MediaJobs } from '../media/child/media-run.ts'
import type {
  PublishedSession,
  SegmentCut,
  SessionListener,
  SessionObserver,
} from '../media/published-session.ts'
import type { KeepOptions } from './stream-archive.ts'
import { Thumbnailer } from './thumbnailer.ts'

/** One small picture. */
export interface LivePicture {
  /** The segment that it opens. */
  readonly msn: number
  /** Wall time of that segment's first presentation, Unix milliseconds: its program date-time. */
  readonly wallMs: number
  /** JPEG of `liveStoryboardLimits.width` x `height`. */
  readonly jpeg: Buffer
  readonly digest: Digest
}

/** What live storyboards work with. */
export interface LiveStoryboardsComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly media: MediaJobs
  /** What is kept of a stream; without a window and a recording there are no pictures. */
  readonly optionsOf: (streamName: string) => KeepOptions
  /** Is told of each picture. */
  readonly onPicture: (stream: StreamId, picture: LivePicture) => void
}

interface Board {
  readonly streamName: string
  pictures: LivePicture[]
  /** Wall time of the newest keyframe that was handed to the child. */
  askedMs: number
}

/** The pictures of all streams of a peer. */
export class LiveStoryboards implements SessionObserver {
  readonly #components: LiveStoryboardsComponents
  readonly #thumbnailer: Thumbnailer
  readonly #boards = new Map<StreamId, Board>()

  constructor(components: LiveStoryboardsComponents) {
    this.#components = components
    const logger = components.logger.child({ name: 'kairo:recording' })
    this.#thumbnailer = new Thumbnailer({ ...components, logger })
  }

  /** Nothing to begin: the child is started with the first keyframe. */
  start(): void {}

  /** Ends the child. */
  stop(): void {
    this.#thumbnailer.stop()
  }

  /** The pictures of a stream, oldest first. Treat as read-only. */
  pictures(stream: StreamId): readonly LivePicture[] {
    return this.#boards.get(stream)?.pictures ?? []
  }

  sessionStarted(session: PublishedSession): void {
    const board = this.#boardOf(session)
    const configs = new Map<number, VideoConfig>()
    const listener: SessionListener = {
      configured: (config) => {
        if (config.kind === 'video') configs.set(config.track ?? 0, config)
      },
      unit: (unit, cut) => {
        if (cut === undefined || unit.kind !== 'video') return
        const config = configs.get(unit.track ?? 0)
        if (config !== undefined) this.#keyframe(session.streamId, board, { config, unit, cut })
      },
    }
    session.listen(listener)
  }

  streamEnded(streamName: string): void {
    const { dvrWindowS } = this.#components.optionsOf(streamName)
    for (const [id, board] of this.#boards) {
      if (board.streamName !== streamName) continue
      const newest = board.askedMs
      // Viewers may go back for as long as the window lasts.
      this.#components.clock.after(dvrWindowS * 1_000, () => {
        if (board.askedMs === newest) this.#boards.delete(id)
      })
    }
  }

  #boardOf({ streamId, streamName }: PublishedSession): Board {
    const known = this.#boards.get(streamId)
    const board = known ?? { streamName, pictures: [], askedMs: 0 }
    this.#boards.delete(streamId)
    this.#boards.set(streamId, board)
    for (const oldest of this.#boards.keys()) {
      if (this.#boards.size <= limits.streamsMax) break
      this.#boards.delete(oldest)
    }
    return board
  }

  #keyframe(
    stream: StreamId,
    board: Board,
    from: { readonly config: VideoConfig; readonly unit: AccessUnit; readonly cut: SegmentCut },
  ): void {
    const { record, dvrWindowS } = this.#components.optionsOf(board.streamName)
    if (dvrWindowS === 0 && !record) return
    const intervalMs = Math.max(limits.intervalMs, (dvrWindowS * 1_000) / limits.picturesMax)
    const { msn } = from.cut
    // As playlists have it, since pictures are asked for by it.
    const wallMs = Math.round(from.cut.wallMs)
    const sinceMs = wallMs - board.askedMs
    if (sinceMs >= 0 && sinceMs < intervalMs) return
    board.askedMs = wallMs
    this.#thumbnailer.make(from.config, from.unit, (jpeg) => {
      const picture = { msn, wallMs, jpeg, digest: digestOf(jpeg) }
      this.#components.onPicture(stream, picture)
      const oldestMs = wallMs - dvrWindowS * 1_000
      const kept = board.pictures.filter((one) => one.wallMs >= oldestMs && one.wallMs < wallMs)
      board.pictures = [...kept, picture].slice(-limits.picturesMax)
    })
  }
}
