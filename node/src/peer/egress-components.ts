/** The rooms that reach out of the peer on a stream's behalf: restreaming, pulls, and webhooks about everything. */
import { join } from 'node:path'
import type { PublishingService } from '../ingest/publishing.ts'
import { PullService } from '../ingest/pull/service.ts'
import type { StreamKeys } from '../ingest/stream-keys.ts'
import type { StreamOptionsStore } from '../ingest/stream-options.ts'
import type { MediaPool } from '../media/child/pool.ts'
import type { SessionObserver } from '../media/published-session.ts'
import type { StreamArchives } from '../recording/stream-archives.ts'
import { RestreamService } from '../restream/service.ts'
import type { VodLibrary } from '../vod/library.ts'
import type { VodStatus } from '../vod/vod-status.ts'
import type { EmitWebhook } from '../webhooks/events.ts'
import { WebhookService } from '../webhooks/service.ts'
import { StreamEvents } from '../webhooks/stream-events.ts'
import type { Base, ComponentsInit } from './base.ts'

/** What reaching out stands on. */
export interface EgressParts {
  readonly keys: StreamKeys
  readonly streamOptions: StreamOptionsStore
  readonly observers: SessionObserver[]
  readonly publishing: PublishingService
  readonly media: MediaPool
}

/** Restreaming and pulls. */
export interface EgressRooms {
  readonly restreaming: RestreamService
  readonly pulls: PullService
}

/** Builds the service that tells other programs; it hears of every publisher. */
export function createWebhooks(
  base: Base,
  observers: SessionObserver[],
  { loaded: { settings }, home }: ComponentsInit,
): WebhookService {
  const webhooks = new WebhookService(
    { ...base, peerId: base.host.peerId },
    {
      urls: settings.webhookUrls,
      secret: settings.webhookSecret,
      secretFile: join(home.root, 'webhook.secret'),
      directory: join(home.root, 'webhooks'),
    },
  )
  observers.push(new StreamEvents(webhooks.emit))
  return webhooks
}

/** Builds restreaming and pulls. */
export function createEgress(
  base: Base,
  { keys, streamOptions, observers, publishing, media }: EgressParts,
  emit: EmitWebhook,
): EgressRooms {
  const restreaming = new RestreamService({
    ...base,
    media,
    streamNames: () => keys.list().map(({ name }) => name),
    targetsOf: (name) => streamOptions.get(name).restream ?? [],
    streamKeyOf: (name) => keys.get(name)?.streamKey,
    onFailed: (failure) => emit('restream.failed', failure),
  })
  streamOptions.onChange((name) => restreaming.optionsChanged(name))
  observers.push(restreaming)
  const pulls = new PullService({ ...base, media, publishing, keys, streamOptions })
  return { restreaming, pulls }
}

/** Tells of recordings and DVR windows. */
export function tellOfRecordings(archives: StreamArchives, emit: EmitWebhook): void {
  archives.events.on('recording:started', ({ stream, id }) => {
    emit('recording.started', { stream, recording: id })
  })
  archives.events.on('recording:finished', ({ stream, id }) => {
    const durationUs = archives.get(id)?.durationUs ?? 0
    emit('recording.ready', { stream, recording: id, durationMs: Math.round(durationUs / 1_000) })
  })
  archives.events.on('recording:failed', ({ stream, id, error }) => {
    emit('recording.failed', { stream, recording: id, error: error.message })
  })
  archives.events.on('dvr:failed', ({ stream, error }) => {
    emit('error', { code: error.code, message: `rewinding of ${stream}: ${error.message}` })
  })
}

/** Tells of videos that become ready or fail; what the library has when the peer starts is no news. */
export function tellOfVideos(library: VodLibrary, emit: EmitWebhook): void {
  const making = new Set<string>()
  library.events.on('vod:changed', (id) => {
    const status = library.status(id)
    if (status === undefined || isSettled(status)) {
      if (making.delete(id) && status !== undefined) tellOfVideo(status, emit)
    } else {
      making.add(id)
    }
  })
}

function isSettled({ state }: VodStatus): boolean {
  return state === 'ready' || state === 'failed'
}

function tellOfVideo({ id, title, state, durationUs, error }: VodStatus, emit: EmitWebhook): void {
  if (state === 'ready') {
    emit('vod.ready', { video: id, title, durationMs: Math.round(durationUs / 1_000) })
  } else {
    emit('vod.failed', { video: id, title, error: error?.message ?? 'unknown' })
  }
}
