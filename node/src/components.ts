/**
 * Everything a peer is made of, built in one place and in the order of need. Building does nothing yet: no
 * socket is bound and no timer runs before `peer.ts` starts the rooms.
 */
import type { Registry } from 'prom-client'
import { loadOperatorToken, type OperatorToken } from './auth/operator-token.ts'
import { type Clock, systemClock } from './clock.ts'
import type { DvrServer } from './content/dvr/dvr-server.ts'
import { Audience } from './delivery/audience.ts'
import { type Identity, loadIdentity } from './host/identity.ts'
import { Join } from './host/join.ts'
import { Libp2pHost } from './host/libp2p-host.ts'
import { HttpMetrics } from './http/http-metrics.ts'
import { Shelter } from './http/shelter/shelter.ts'
import { LiveCaptions } from './ingest/live-captions.ts'
import { Publications } from './ingest/publications.ts'
import { PublishingService } from './ingest/publishing.ts'
import type { PullService } from './ingest/pull/service.ts'
import { StreamKeys } from './ingest/stream-keys.ts'
import { StreamOptionsStore } from './ingest/stream-options.ts'
import type { Logger } from './logger.ts'
import type { MediaPool } from './media/child/pool.ts'
import type { EncoderCatalog } from './media/encoder-catalog.ts'
import type { PresetStore } from './media/ladder/preset-store.ts'
import { PackagerMetrics } from './media/packager/packager-metrics.ts'
import type { SessionObserver } from './media/published-session.ts'
import { createRegistry } from './metrics/registry.ts'
import { type ArchiveRooms, createArchives } from './peer/archive-components.ts'
import type { Base, ComponentsInit } from './peer/base.ts'
import { createCdn } from './peer/cdn-components.ts'
import { createContent } from './peer/content-components.ts'
import { createCoordination } from './peer/coordination-components.ts'
import {
  createEgress,
  createWebhooks,
  tellOfRecordings,
  tellOfVideos,
} from './peer/egress-components.ts'
import { createLibrary, createMedia, createTranscoding } from './peer/media-components.ts'
import { createNearest } from './peer/nearest-components.ts'
import { createSignalling, type SignallingRooms } from './peer/signalling-components.ts'
import type { LiveStoryboards } from './recording/live-storyboards.ts'
import type { StreamArchives } from './recording/stream-archives.ts'
import type { RestreamService } from './restream/service.ts'
import type { TranscodeService } from './transcode/service.ts'
import type { Downloads } from './vod/download/downloads.ts'
import type { VodLibrary } from './vod/library.ts'
import type { VodPipeline } from './vod/pipeline.ts'
import type { UploadServer } from './vod/upload/upload-server.ts'
import type { WatchFolder } from './vod/watch-folder.ts'
import type { WebhookService } from './webhooks/service.ts'

type ContentRooms = ReturnType<typeof createContent>

/** The rooms of one peer. */
export interface Components
  extends ContentRooms,
    ReturnType<typeof createNearest>,
    ReturnType<typeof createCoordination>,
    ReturnType<typeof createCdn>,
    SignallingRooms {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly identity: Identity
  readonly operatorToken: OperatorToken
  readonly host: Libp2pHost
  readonly join: Join
  readonly httpMetrics: HttpMetrics
  readonly shelter: Shelter
  readonly keys: StreamKeys
  readonly streamOptions: StreamOptionsStore
  /** The passphrase of SRT publishers with a stream key; undefined takes them in the clear. */
  readonly passphraseFor: (streamKey: string) => string | undefined
  readonly captions: LiveCaptions
  readonly publications: Publications
  readonly publishing: PublishingService
  readonly audience: Audience
  readonly presets: PresetStore
  readonly media: MediaPool
  readonly encoders: EncoderCatalog
  readonly transcoding: TranscodeService
  readonly library: VodLibrary
  readonly pipeline: VodPipeline
  readonly uploads: UploadServer
  readonly watchFolder: WatchFolder | undefined
  readonly downloads: Downloads
  readonly tellOfOwnVideos: () => void
  readonly archives: StreamArchives
  readonly dvrServer: DvrServer
  readonly storyboards: LiveStoryboards
  readonly restreaming: RestreamService
  readonly pulls: PullService
  readonly webhooks: WebhookService
}

/**
 * Builds every room.
 * @throws KairoError `ERR_CONFIG` for a damaged key file, `ERR_STORAGE` when the home folder fails.
 */
export async function createComponents(init: ComponentsInit): Promise<Components> {
  const { settings } = init.loaded
  const { home, logger } = init
  const clock = init.clock ?? systemClock
  const registry = createRegistry()
  const [identity, operatorToken] = await Promise.all([
    loadIdentity(home.root, logger),
    loadOperatorToken(home.root),
  ])
  const host = new Libp2pHost(
    { clock, logger, registry },
    {
      privateKey: identity.privateKey,
      listen: init.ports.listen,
      ...(settings.announce.length === 0 ? {} : { announce: settings.announce }),
      mdns: settings.mdns,
      relay: settings.relay,
      datastorePath: home.networkDirectory,
    },
  )
  const base: Base = { clock, logger, registry, host, random: init.random ?? Math.random }
  const httpMetrics = new HttpMetrics(registry)
  const shelter = new Shelter(base, settings)
  const join = new Join(base, { targets: settings.join })
  const near = createNearest(
    base,
    { identity, join, httpMetrics, peerHttp: () => content.peerHttp },
    init,
  )
  const content: ContentRooms = createContent(
    base,
    { identity, join, catalog: () => near.catalog, swarmView: () => region.swarmView },
    init,
  )
  const audience = new Audience({ clock })
  const region: ReturnType<typeof createCoordination> = createCoordination(
    base,
    { ...near, ...content, audience },
    init,
  )
  const ingest = createIngest(base, { ...content, ...region }, init)
  const media = createMedia(base, init)
  const webhooks = createWebhooks(base, ingest.observers, init)
  const { emit } = webhooks
  const transcoding = createTranscoding(base, { ...ingest, ...media, emit }, init)
  const library = createLibrary(
    base,
    { ...content, ...media, transcoding, archivedBytes: () => kept.archives.usedBytes() },
    init,
  )
  const kept: ArchiveRooms = createArchives(
    base,
    { ...content, ...ingest, ...media, library: library.library },
    init,
  )
  tellOfVideos(library.library, emit)
  tellOfRecordings(kept.archives, emit)
  return {
    ...base,
    identity,
    operatorToken,
    httpMetrics,
    shelter,
    join,
    audience,
    ...near,
    ...region,
    ...content,
    ...createCdn(base, { ...content, ...near, ...region, identity, shelter }, init),
    ...ingest,
    ...media,
    transcoding,
    ...library,
    ...kept,
    webhooks,
    ...(await createSignalling(base, shelter, init)),
    ...createEgress(base, { ...ingest, ...media }, emit),
  }
}

function createIngest(
  base: Base,
  content: ContentRooms & ReturnType<typeof createCoordination>,
  { loaded: { settings }, home }: ComponentsInit,
) {
  const { clock, logger, registry, host } = base
  const { store, sequences, directory, providers, replicas } = content
  const keys = new StreamKeys(home.streamsDirectory)
  const streamOptions = new StreamOptionsStore(home.streamOptionsDirectory)
  const publications = new Publications(
    { ...base, store, sequences, directory, providers, replicas, peerId: host.peerId },
    settings,
  )
  const captions = new LiveCaptions(base)
  const observers: SessionObserver[] = [captions]
  const publishing = new PublishingService(
    {
      clock,
      logger,
      registry,
      keys,
      packagerMetrics: new PackagerMetrics(registry),
      publicationOf: (stream) => publications.of(stream),
      ownership: content.streamLeases,
      observers,
    },
    settings,
  )
  const passphraseFor = (streamKey: string): string | undefined => {
    const name = keys.bySecret(streamKey)?.name
    const own = name === undefined ? undefined : streamOptions.get(name).srtPassphrase
    return own ?? (settings.srtPassphrase || undefined)
  }
  return { keys, streamOptions, passphraseFor, observers, captions, publications, publishing }
}
