/** How a video is told to API clients: what it is, how far it is, and where. */
import type { Presentation } from '../content/archive/presentation.ts'
import type { NetworkVideoStatus } from '../content/videos/network-videos.ts'
import type { KnownVideo } from '../content/videos/video-table.ts'
import type { VodStatus } from '../vod/vod-status.ts'
import type { VodView } from './schemas-vod.ts'

/** A video of this peer. */
export function vodView(
  status: VodStatus,
  presentation: Presentation | undefined,
  peerId: string,
): VodView {
  return {
    id: status.id,
    title: status.title,
    state: status.state,
    origin: status.origin,
    originPeer: peerId,
    status: 'origin',
    createdAt: new Date(status.createdAtMs).toISOString(),
    durationS: status.durationUs / 1e6,
    progress: status.share,
    speed: status.speed ?? null,
    etaS: status.etaMs === undefined ? null : status.etaMs / 1_000,
    error: status.error ?? null,
    bytes: status.bytes,
    ...mediaView(presentation?.renditions ?? [], presentation),
    urls: presentation === undefined ? null : urlsOf(presentation),
  }
}

/** A video of another peer. */
export function networkVodView({ owner, video }: KnownVideo, status: NetworkVideoStatus): VodView {
  return {
    ...{ id: video.id, title: video.title, state: 'ready', origin: video.origin },
    ...{ originPeer: owner, status },
    createdAt: new Date(video.createdAtMs).toISOString(),
    durationS: video.durationUs / 1e6,
    ...{ progress: 1, speed: null, etaS: null, error: null, bytes: video.bytes },
    ...mediaView(video.renditions, video),
    urls: urlsOf(video),
  }
}

function mediaView(
  renditions: readonly Pick<Presentation['renditions'][number], 'info'>[],
  of: Pick<Presentation, 'captions' | 'storyboard'> | undefined,
): Pick<VodView, 'renditions' | 'captions' | 'storyboard'> {
  return {
    renditions: renditions.map(({ info }) => ({ ...info })),
    captions: (of?.captions ?? []).map(({ name, language, label }) => ({ name, language, label })),
    storyboard: of?.storyboard ?? null,
  }
}

function urlsOf({
  id,
  renditions,
  storyboard,
}: Pick<Presentation, 'id' | 'storyboard'> & {
  readonly renditions: readonly Pick<Presentation['renditions'][number], 'info'>[]
}): VodView['urls'] {
  const base = `/vod/${id}`
  const hasSound = renditions.some(({ info }) => info.kind === 'audio')
  return {
    hls: `${base}/master.m3u8`,
    dash: `${base}/manifest.mpd`,
    download: `${base}/download.mp4`,
    storyboard: storyboard === undefined ? null : `${base}/storyboard.vtt`,
    sound: hasSound ? `${base}/audio.m4a` : null,
  }
}
