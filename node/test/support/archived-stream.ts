/** A stream whose segments the test makes by hand, with everything behind it real: archives, logs, library, store. */

import { join } from 'node:path'
import { Registry } from 'prom-client'
import { digestOf } from '../../src/content/digest.ts'
import type { SegmentListener, SegmentNotice } from '../../src/content/publication/open-segment.ts'
import { ContentStore } from '../../src/content/store/store.ts'
import type { RenditionInfo } from '../../src/content/stream.ts'
import { silentLogger } from '../../src/logger.ts'
import type { PublishedSession } from '../../src/media/published-session.ts'
import type { KeepOptions } from '../../src/recording/stream-archive.ts'
import { StreamArchives } from '../../src/recording/stream-archives.ts'
import { spriteFile } from '../../src/vod/asset.ts'
import { VodLibrary } from '../../src/vod/library.ts'
import { videoInfo } from './archive-segments.ts'
import { ManualClock } from './manual-clock.ts'
import { newVideoId } from './video-ids.ts'

/** How a stage is set up. */
export interface ArchiveStageInit {
  /** Folder with `dvr` and `vod`. */
  readonly home: string
  readonly options?: KeepOptions
  readonly bytesMax?: number
}

/** One run of a peer's archives over one stream. */
export class ArchiveStage {
  readonly clock = new ManualClock()
  readonly registry = new Registry()
  readonly store: ContentStore
  readonly library: VodLibrary
  readonly archives: StreamArchives
  readonly events: string[] = []
  options: KeepOptions
  readonly #listeners = new Set<SegmentListener>()
  readonly #endings = new Set<() => void>()

  constructor(init: ArchiveStageInit) {
    const { clock, registry } = this
    const common = { clock, registry, logger: silentLogger }
    this.options = init.options ?? { record: false, dvrWindowS: 60 }
    this.store = new ContentStore(common, { memoryBytesMax: 1_000, diskBytesMax: 0 })
    this.library = new VodLibrary(
      { ...common, store: this.store },
      {
        directory: join(init.home, 'vod'),
        newId: newVideoId,
        bytesMax: init.bytesMax ?? 1e9,
        bytesElsewhere: () => this.archives.usedBytes(),
      },
    )
    const { library } = this
    this.archives = new StreamArchives(
      {
        ...common,
        store: this.store,
        library: {
          get: (id) => library.get(id),
          list: () => library.list(),
          read: (digest, options) => library.read(digest, options),
          peek: (digest) => library.peek(digest),
          spriteFile,
          newId: newVideoId,
          bytesFree: () => library.usage().bytesFree,
          adopt: (recording) => library.adopt(recording),
        },
        streams: () => [{ id: 'k51test', name: 'main', title: 'Main' }],
        publicationOf: () => ({
          onSegment: (listener) => {
            this.#listeners.add(listener)
            return () => this.#listeners.delete(listener)
          },
          onEnded: (listener) => {
            this.#endings.add(listener)
            return () => this.#endings.delete(listener)
          },
        }),
        optionsOf: () => this.options,
      },
      { directory: join(init.home, 'dvr') },
    )
    const { events } = this.archives
    events.on('recording:started', () => this.events.push('started'))
    events.on('recording:finished', ({ reason }) => this.events.push(`finished: ${reason}`))
    events.on('recording:failed', ({ error }) => this.events.push(`failed: ${error.code}`))
    events.on('dvr:failed', ({ error }) => this.events.push(`dvr failed: ${error.code}`))
    events.on('dvr:resumed', () => this.events.push('dvr resumed'))
  }

  /** Opens library and archives. */
  async start(): Promise<void> {
    await this.library.start()
    await this.archives.start()
  }

  /** Stops both. */
  async stop(): Promise<void> {
    await this.archives.stop()
    await this.library.stop()
  }

  /** A publisher comes. */
  begin(): void {
    this.archives.sessionStarted({ streamId: 'k51test' } as PublishedSession)
  }

  /** A segment of each rendition is whole; resolves when it is on disk or lost. */
  async segment(msn: number, names: readonly string[] = ['source'], size = 40): Promise<void> {
    for (const name of names) {
      for (const listener of this.#listeners) listener(notice(name, msn, size))
    }
    await this.settled()
  }

  /** Many, one after the other. */
  async segments(
    from: number,
    to: number,
    names?: readonly string[],
    size?: number,
  ): Promise<void> {
    for (let msn = from; msn <= to; msn += 1) await this.segment(msn, names, size)
  }

  /** The stream ends. */
  async end(): Promise<void> {
    for (const listener of this.#endings) listener()
    await this.settled()
  }

  /** Resolves when nothing more happens on the disk. */
  async settled(): Promise<void> {
    await this.archives.idle()
  }

  /** Numbers that viewers may go back to. */
  window(name = 'source'): number[] {
    return this.archives.segments('k51test', name).map(({ msn }) => msn)
  }
}

/** A segment of 2 s in two parts; its bytes are no media. Captions have no init segment. */
export function notice(name: string, msn: number, size = 40): SegmentNotice {
  const isText = name.startsWith('captions')
  const info: RenditionInfo = isText
    ? { ...videoInfo, name, kind: 'captions', codecs: 'wvtt', width: 0, height: 0 }
    : { ...videoInfo, name }
  const parts = [Buffer.alloc(size, msn + 1), Buffer.from(`end of ${name} ${msn}`)]
  const initBytes = isText ? Buffer.alloc(0) : Buffer.from(`init of ${name}`)
  const entries = parts.map((part, index) => ({
    ...{ msn, part: index, digest: digestOf(part), bytes: part.byteLength, durationUs: 1_000_000 },
    ...{ independent: index === 0, endOfSegment: index === 1, discontinuity: false },
    segmentDigest: index === 1 ? digestOf(Buffer.concat(parts)) : undefined,
    programDateTimeMs: index === 0 ? 1_700_000_000_000 + msn * 2_000 : undefined,
    initDigest: digestOf(initBytes),
  }))
  return { info, msn, entries, parts, initBytes, startUs: msn * 2_000_000, targetDurationS: 2 }
}
