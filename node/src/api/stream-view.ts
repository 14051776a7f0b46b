/** How a stream is told to API clients: its record, and where this peer stands with it. */
import type { Directory } from '../content/records/directory.ts'
import type { StreamRecord, StreamSource } from '../content/stream.ts'
import type { SwarmViewers } from '../coordination/swarm-viewers.ts'
import type { Audience } from '../delivery/audience.ts'
import type { PublishingService } from '../ingest/publishing.ts'
import type { StreamView } from './schemas.ts'

/** The rooms that know of streams. */
export interface StreamViewComponents {
  readonly directory: Directory
  readonly streams: StreamSource
  readonly audience: Audience
  readonly publishing: Pick<PublishingService, 'leaseOf'>
  readonly swarmViewers: Pick<SwarmViewers, 'of'>
}

/** Every stream this peer knows of, live ones first, then by name. */
export function streamViews(components: StreamViewComponents): StreamView[] {
  return components.directory
    .list()
    .map((record) => streamView(components, record))
    .sort(
      (a, b) =>
        Number(b.state === 'live') - Number(a.state === 'live') || a.name.localeCompare(b.name),
    )
}

/** A part of the live streams that this peer knows of, by name, and how many there are. */
export function liveStreams(
  directory: Pick<Directory, 'list' | 'uniqueName'>,
  { limit, skip }: { readonly limit: number; readonly skip: number },
): { readonly part: readonly { readonly id: string; readonly name: string }[]; total: number } {
  const live = directory
    .list()
    .filter(({ state }) => state === 'live')
    .map((record) => ({ id: record.id, name: directory.uniqueName(record) }))
    .sort((a, b) => a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1))
  return { part: live.slice(skip, skip + limit), total: live.length }
}

function streamView(components: StreamViewComponents, record: StreamRecord): StreamView {
  const { directory, streams, audience, publishing, swarmViewers } = components
  const here = streams.get(record.id)
  return {
    name: directory.uniqueName(record),
    id: record.id,
    title: record.title,
    state: record.state,
    originPeer: record.originPeer,
    sourcePeer: here?.sourcePeer ?? null,
    status: here?.status ?? 'known',
    lease: (here?.status === 'origin' && publishing.leaseOf(here.record.alias)) || null,
    startedAt: new Date(record.startedAtMs).toISOString(),
    renditions: record.renditions.map((rendition) => ({ ...rendition })),
    viewers: audience.viewers(record.id),
    regionViewers: record.state === 'live' ? (swarmViewers.of(record.id) ?? null) : null,
  }
}
