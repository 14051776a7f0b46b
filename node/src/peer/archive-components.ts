/** The room that keeps what has been live: DVR windows and recordings of this peer's own streams. */
import { strict as assert } from 'node:assert'
import { DvrServer } from '../content/dvr/dvr-server.ts'
import type { ContentStore } from '../content/store/store.ts'
import type { PeerHttp } from '../host/peer-http.ts'
import type { Publications } from '../ingest/publications.ts'
import type { OwnedStream, StreamKeys } from '../ingest/stream-keys.ts'
import type { StreamOptionsStore } from '../ingest/stream-options.ts'
import type { MediaJobs } from '../media/child/media-run.ts'
import type { SessionObserver } from '../media/published-session.ts'
import { LiveStoryboards } from '../recording/live-storyboards.ts'
import type { KeepOptions } from '../recording/stream-archive.ts'
import { type ArchivedStream, StreamArchives } from '../recording/stream-archives.ts'
import { spriteFile } from '../vod/asset.ts'
import type { VodLibrary } from '../vod/library.ts'
import type { Base, ComponentsInit } from './base.ts'

/** What archives stand on. */
export interface ArchiveParts {
  readonly store: ContentStore
  readonly peerHttp: Pick<PeerHttp, 'handle'>
  readonly keys: StreamKeys
  readonly streamOptions: StreamOptionsStore
  readonly publications: Publications
  readonly observers: SessionObserver[]
  readonly library: VodLibrary
  readonly media: MediaJobs
}

/** What keeps what has been live. */
export interface ArchiveRooms {
  readonly archives: StreamArchives
  /** Tells other peers what the archives keep. */
  readonly dvrServer: DvrServer
  readonly storyboards: LiveStoryboards
}

/** Builds both; they hear of every publisher, and of every change of options. */
export function createArchives(
  base: Base,
  parts: ArchiveParts,
  init: ComponentsInit,
): ArchiveRooms {
  const { store, keys, streamOptions, publications, observers, library, media } = parts
  const optionsOf = keepOptions(parts, init)
  const archives = new StreamArchives(
    {
      ...base,
      ...{ store, optionsOf },
      library: {
        get: (id) => library.get(id),
        list: () => library.list(),
        read: (digest, options) => library.read(digest, options),
        peek: (digest) => library.peek(digest),
        spriteFile,
        newId: () => library.newId(),
        bytesFree: () => library.usage().bytesFree,
        adopt: (recording) => library.adopt(recording),
      },
      streams: () => keys.list().map(archivedStream),
      publicationOf: ({ name }) => publications.of(expectStream(keys, name)),
    },
    { directory: init.home.dvrDirectory },
  )
  const storyboards = new LiveStoryboards({
    ...base,
    ...{ media, optionsOf },
    onPicture: (stream, picture) => archives.picture(stream, picture),
  })
  streamOptions.onChange((name) => archives.optionsChanged(name))
  observers.push(archives, storyboards)
  const dvrServer = new DvrServer({ ...base, http: parts.peerHttp, source: archives })
  return { archives, dvrServer, storyboards }
}

function keepOptions(
  { keys, streamOptions }: Pick<ArchiveParts, 'keys' | 'streamOptions'>,
  { loaded: { settings } }: ComponentsInit,
): (name: string) => KeepOptions {
  return (name) => {
    const chosen = streamOptions.get(name)
    // The built-in test stream never ends; it is recorded when somebody says so, and not by a setting for all.
    const isBuiltIn = keys.get(name)?.builtIn === true
    return {
      record: chosen.record ?? (settings.record && !isBuiltIn),
      dvrWindowS: chosen.dvrWindowS ?? settings.dvrWindowS,
    }
  }
}

function archivedStream({ name, title, key }: OwnedStream): ArchivedStream {
  return { id: key.id, name, title }
}

function expectStream(keys: StreamKeys, name: string): OwnedStream {
  const stream = keys.get(name)
  assert(stream !== undefined, `${name} is a stream of this peer`)
  return stream
}
